import { AppError } from '../errors.js';
import type { PlainValue } from './checkpoint.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import { isKind } from './pickle-globals.js';
import type { PickleTensor, PickleValue } from './pickle-values.js';

/** Sections under which official files keep their state dict, in the order in which they are looked for. */
const SECTIONS = ['weight', 'generator', 'state_dict'] as const;

const MAX_NAME_LENGTH = 1024;
/** Text that plain values may expand to, since one string can be referred to from many places. */
const MAX_PLAIN_CHARACTERS = 64 * 2 ** 20;

export interface StateDict {
  /** Tensors by name, in the file's order. */
  readonly tensors: ReadonlyMap<string, PickleTensor>;
  readonly data: { readonly [key: string]: PlainValue };
}

/**
 * Splits what a pickle held into named tensors and plain values, as {@link Checkpoint} documents. The pickle is a
 * graph in which any object may be shared or contain itself; expansion is bounded, and a cycle is refused.
 * Throws `CHECKPOINT_CORRUPT`, `CHECKPOINT_LIMIT` or `CHECKPOINT_UNSUPPORTED` (no dictionary at the top).
 */
export function splitStateDict(root: PickleValue, limits: CheckpointLimits, path: string): StateDict {
  const tensors = new Map<string, PickleTensor>();
  const expansion = new Expansion(limits, path);
  const fields = fieldsOf(root);
  if (fields === null) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `checkpoint "${path}" holds ${isKind(root, 'tensor') ? 'a single tensor' : 'no dictionary'}; expected a state dict as torch.save writes it`,
    );
  }
  const section = SECTIONS.find((name) => {
    const value = fields.get(name);
    return value !== undefined && fieldsOf(value) !== null && expansion.holdsTensor(value);
  });
  expansion.collect(section === undefined ? root : (fields.get(section) ?? null), tensors);

  const data: { [key: string]: PlainValue } = Object.create(null);
  for (const [key, value] of fields) {
    if (key === section) continue;
    const plain = expansion.plain(value);
    if (plain !== undefined) data[String(key)] = plain;
  }
  return { tensors, data };
}

function fieldsOf(value: PickleValue): ReadonlyMap<unknown, PickleValue> | null {
  if (isKind(value, 'dict')) return value.items;
  if (isKind(value, 'record')) return value.fields;
  return null;
}

/** Walks over the graph as if it were a tree, counting every visit. */
class Expansion {
  readonly #limits: CheckpointLimits;
  readonly #path: string;
  readonly #open = new Set<PickleValue>();
  #visits = 0;
  #characters = 0;

  constructor(limits: CheckpointLimits, path: string) {
    this.#limits = limits;
    this.#path = path;
  }

  holdsTensor(value: PickleValue): boolean {
    return this.#within(value, () => {
      if (isKind(value, 'tensor')) return true;
      for (const [, child] of childrenOf(value)) if (this.holdsTensor(child)) return true;
      return false;
    });
  }

  /** Adds all tensors below `value`, named by the keys on the way to them. */
  collect(value: PickleValue, into: Map<string, PickleTensor>, name = ''): void {
    this.#within(value, () => {
      if (isKind(value, 'tensor')) {
        if (into.has(name)) throw this.#refuse('CHECKPOINT_CORRUPT', `two tensors are called "${name}"`);
        into.set(name, value);
        if (into.size > this.#limits.tensors) {
          throw this.#refuse('CHECKPOINT_LIMIT', `it has more than ${this.#limits.tensors} tensors`);
        }
        return;
      }
      for (const [key, child] of childrenOf(value)) {
        if (typeof child !== 'object' || child === null) continue;
        const childName = name === '' ? key : `${name}.${key}`;
        if (childName.length > MAX_NAME_LENGTH) {
          throw this.#refuse('CHECKPOINT_LIMIT', `a name has more than ${MAX_NAME_LENGTH} characters`);
        }
        this.collect(child, into, childName);
      }
    });
  }

  /** The plain form of a value; undefined for tensors, storages and dictionaries that hold nothing else. */
  plain(value: PickleValue): PlainValue | undefined {
    if (typeof value === 'string') {
      this.#characters += value.length;
      if (this.#characters > MAX_PLAIN_CHARACTERS) {
        throw this.#refuse('CHECKPOINT_LIMIT', `its values hold more than ${MAX_PLAIN_CHARACTERS} characters`);
      }
      this.#visit();
      return value;
    }
    if (typeof value === 'bigint') return value.toString();
    if (typeof value !== 'object' || value === null) return value;
    return this.#within(value, (): PlainValue | undefined => {
      switch (value.kind) {
        case 'bytes':
          return this.plain(Buffer.from(value.bytes).toString('latin1'));
        case 'list':
        case 'tuple':
        case 'set':
          return value.items.map((item) => this.plain(item) ?? null);
        case 'dict':
        case 'record': {
          const fields = fieldsOf(value) ?? new Map();
          const object: { [key: string]: PlainValue } = Object.create(null);
          for (const [key, item] of fields) {
            const plain = this.plain(item);
            if (plain !== undefined) object[String(key)] = plain;
          }
          return fields.size > 0 && Object.keys(object).length === 0 ? undefined : object;
        }
        case 'global':
          return value.name;
        case 'storage':
        case 'tensor':
        case 'numpy-dtype':
          return undefined;
        default:
          return value satisfies never;
      }
    });
  }

  #within<T>(value: PickleValue, visit: () => T): T {
    this.#visit();
    if (this.#open.has(value) && typeof value === 'object' && value !== null) {
      throw this.#refuse('CHECKPOINT_CORRUPT', 'an object in it contains itself');
    }
    if (this.#open.size >= this.#limits.nesting) {
      throw this.#refuse('CHECKPOINT_LIMIT', `its values are nested more than ${this.#limits.nesting} deep`);
    }
    this.#open.add(value);
    const result = visit();
    this.#open.delete(value);
    return result;
  }

  #visit(): void {
    if (++this.#visits > this.#limits.objects * 2) {
      throw this.#refuse('CHECKPOINT_LIMIT', `its values expand to more than ${this.#limits.objects} objects`);
    }
  }

  #refuse(code: 'CHECKPOINT_CORRUPT' | 'CHECKPOINT_LIMIT', what: string): AppError {
    return new AppError(code, `checkpoint "${this.#path}" was refused: ${what}`);
  }
}

function* childrenOf(value: PickleValue): Iterable<[string, PickleValue]> {
  if (typeof value !== 'object' || value === null) return;
  if (value.kind === 'dict' || value.kind === 'record') {
    for (const [key, child] of fieldsOf(value) ?? []) yield [String(key), child];
  } else if (value.kind === 'list' || value.kind === 'tuple') {
    for (const [index, child] of value.items.entries()) yield [String(index), child];
  }
}
