import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AuditEntry, type AuditValue, canonicalJson, recordBody, writeEntry } from './chain.js';
import { Spool } from './spool.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'timbre-chain-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const values = fc.letrec<{ value: AuditValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 3 }),
  ),
})).value;
const usages = fc.record({
  principal: fc.string(),
  voice: fc.string({ unit: 'binary' }),
  characters: fc.nat(),
  audioMs: fc.nat(),
  failed: fc.boolean(),
});
const entries: fc.Arbitrary<AuditEntry> = fc.record(
  {
    id: fc.uuid(),
    tenantId: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/),
    at: fc.constantFrom('2026-01-01T00:00:00.000Z', '2026-11-28T12:34:56.789Z'),
    type: fc.constantFrom('speech.served', 'key.create.started'),
    actor: fc.string(),
    details: fc.dictionary(fc.string(), values, { maxKeys: 4 }),
    usage: usages,
  },
  { requiredKeys: ['id', 'tenantId', 'at', 'type', 'actor', 'details'] },
);

it('hashes a record as its JSON with sorted names, wherever its place in the chain was added', () => {
  fc.assert(
    fc.property(entries, fc.nat(), (entry, seq) => {
      const { actor, at, details, id, tenantId: tenant, type } = entry;
      const whole = canonicalJson({ actor, at, details, id, seq, tenant, type });
      expect(recordBody(writeEntry(entry), seq)).toBe(whole);
    }),
  );
});

it('spools an entry as a line that any release reads, and takes it up again as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entries, { minLength: 1, maxLength: 5 }), async (made) => {
      const path = mkdtempSync(join(folder, 'spool-'));
      const { spool } = await Spool.open({ folder: path, maxBytes: 1e9 });
      const written = made.map(writeEntry);
      await spool.append(written);
      await spool.close();
      const [name = ''] = readdirSync(path);
      const lines = readFileSync(join(path, name), 'utf8').trimEnd().split('\n');
      const plain = (entry: AuditEntry): unknown => JSON.parse(JSON.stringify(entry));
      expect(lines.map((line) => JSON.parse(line))).toEqual(made.map(plain));
      // As releases before wrote them: in the order in which their fields came.
      writeFileSync(join(path, '0000000009.jsonl'), `${made.map((entry) => JSON.stringify(entry)).join('\n')}\n`);
      const { spool: again, left } = await Spool.open({ folder: path, maxBytes: 1e9 });
      expect(left.map(({ entry }) => entry)).toEqual([...written, ...written]);
      await again.close();
    }),
    { numRuns: 30 },
  );
});
