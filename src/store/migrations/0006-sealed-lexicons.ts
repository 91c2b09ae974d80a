import { platformTable } from '../row-security.js';

const script = `
-- The texts of lexicons, encrypted under a key of their own, which hangs on the tenant's (vault_objects, kind row-lexicon).
-- Rows of earlier releases have a body until a server has sealed them.
ALTER TABLE lexicon_versions ALTER COLUMN body DROP NOT NULL;
ALTER TABLE lexicon_versions ADD COLUMN seal text;
ALTER TABLE lexicon_versions ADD COLUMN sealed bytea;
ALTER TABLE lexicon_versions ADD CHECK ((body IS NULL) = (seal IS NOT NULL AND sealed IS NOT NULL));
-- To find the tenants that have such rows, and nothing else.
${platformTable('lexicon_versions', 'SELECT (tenant_id, sealed)')}
`;

export const sealedLexicons = { name: '0006-sealed-lexicons', script };
