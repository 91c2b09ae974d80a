import { AppError } from '../errors.js';
import { SCOPES, type Scope } from './scopes.js';

/** Who calls, as audit and usage name it. */
export interface Principal {
  /**
   * `key`: an API key; `person`: a member who signed in; `local`: anyone at this machine's own address, without a key;
   * `operator`: a user of the machine, with the command line.
   */
  readonly type: 'key' | 'person' | 'local' | 'operator';
  /** The key's id, the member's subject, the user's name, or `local`. */
  readonly id: string;
}

/** What a request is made as: everything behind authentication works on this and asks nothing of HTTP. */
export interface Caller {
  readonly tenantId: string;
  readonly principal: Principal;
  readonly scopes: ReadonlySet<Scope>;
}

/** The tenant of a server that nobody divided. */
export const DEFAULT_TENANT = 'default';

/** Who calls at the loopback address of a server that has no keys yet: the one who started it. */
export const LOCAL_CALLER: Caller = {
  tenantId: DEFAULT_TENANT,
  principal: { type: 'local', id: 'local' },
  scopes: new Set(SCOPES),
};

/** Who works on a tenant with the command line: whoever may read the data and the master key may do anything. */
export function operatorOf(tenantId: string, userName: string): Caller {
  return { tenantId, principal: { type: 'operator', id: userName }, scopes: new Set(SCOPES) };
}

/** Throws `FORBIDDEN` naming the scope that the caller lacks. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (caller.scopes.has(scope)) return;
  const holder = caller.principal.type === 'person' ? "this person's role" : 'this API key';
  throw new AppError('FORBIDDEN', `${holder} does not allow ${scope}; use one that does`);
}

export function principalName({ type, id }: Principal): string {
  return `${type}:${id}`;
}
