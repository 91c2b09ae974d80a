import { PLATFORM_ROLE, TENANT_ROLE } from './database.js';

/** Row-level security of a table with rows of tenants, and what the tenant's role may do with it. */
export function tenantTable(name: string, privileges: string, column = 'tenant_id'): string {
  return `
ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${name} FORCE ROW LEVEL SECURITY;
CREATE POLICY ${name}_tenant ON ${name} TO ${TENANT_ROLE}
  USING (${column} = current_setting('app.tenant_id', true))
  WITH CHECK (${column} = current_setting('app.tenant_id', true));
GRANT ${privileges} ON ${name} TO ${TENANT_ROLE};
`;
}

/**
 * What the platform's role may do with a table, on the rows of all tenants. The condition asks for the role itself: the
 * connecting user is a member of it and would inherit what it may see.
 */
export function platformTable(name: string, privileges: string): string {
  return `
CREATE POLICY ${name}_platform ON ${name} TO ${PLATFORM_ROLE}
  USING (current_user = '${PLATFORM_ROLE}') WITH CHECK (current_user = '${PLATFORM_ROLE}');
GRANT ${privileges} ON ${name} TO ${PLATFORM_ROLE};
`;
}
