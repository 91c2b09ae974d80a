import { AppError } from '../errors.js';
import { type Database, sqlState } from '../store/database.js';
import { isRole } from './people.js';
import type { Role } from './scopes.js';

/** A person of a tenant, by the identity provider's name for it. */
export interface Member {
  readonly issuer: string;
  readonly subject: string;
  readonly role: Role;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** Adds a person, or gives another role. Throws `TENANT_NOT_FOUND`. */
export async function addMember(
  database: Database,
  tenantId: string,
  { issuer, subject, role, createdBy }: Omit<Member, 'createdAt'>,
): Promise<void> {
  if (subject === '' || subject.length > 255) {
    throw new AppError('REQUEST_INVALID', "the subject of a member is the person's `sub`: 1 to 255 characters");
  }
  try {
    await database.asTenant(tenantId, (sql) =>
      sql.query(
        `INSERT INTO members (tenant_id, issuer, subject, role, created_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (issuer, subject, tenant_id) DO UPDATE SET role = excluded.role`,
        [tenantId, issuer, subject, role, createdBy],
      ),
    );
  } catch (error) {
    if (sqlState(error) !== '23503') throw error;
    throw new AppError('TENANT_NOT_FOUND', `there is no tenant "${tenantId}"`, { cause: error });
  }
}

export async function listMembers(database: Database, tenantId: string): Promise<Member[]> {
  const { rows } = await database.asTenant(tenantId, (sql) =>
    sql.query<{ issuer: string; subject: string; role: string; created_at: Date; created_by: string }>(
      'SELECT issuer, subject, role, created_at, created_by FROM members ORDER BY created_at, subject',
    ),
  );
  return rows.flatMap(({ issuer, subject, role, created_at, created_by }) =>
    isRole(role) ? [{ issuer, subject, role, createdAt: created_at, createdBy: created_by }] : [],
  );
}

/** Throws `MEMBER_NOT_FOUND`. */
export async function removeMember(
  database: Database,
  tenantId: string,
  { issuer, subject }: Pick<Member, 'issuer' | 'subject'>,
): Promise<void> {
  const { count } = await database.asTenant(tenantId, (sql) =>
    sql.query('DELETE FROM members WHERE issuer = $1 AND subject = $2', [issuer, subject]),
  );
  if (count === 0) throw new AppError('MEMBER_NOT_FOUND', 'the tenant has no such member');
}
