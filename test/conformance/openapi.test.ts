/**
 * Schemathesis, from the Python registry, against every operation of our own OpenAPI document: whatever it makes up, no
 * answer is an error of the server, and each is what the document says.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApiKey } from '../../src/tenancy/api-keys.js';
import { SCOPES } from '../../src/tenancy/scopes.js';
import { createTenant } from '../../src/tenancy/tenants.js';
import { startTestGateway, type TestGateway } from '../fixtures/test-gateway.js';
import { pythonWith, run } from './client-packages.js';

const SCHEMATHESIS = 'schemathesis==4.32.5';
const MAX_SECONDS = 20;
const INSTALL_TIMEOUT_MS = 400_000;

let gateway: TestGateway;
let python: string;
/** Where Schemathesis leaves its notes. */
let folder: string;

beforeAll(async () => {
  python = await pythonWith(SCHEMATHESIS);
  folder = mkdtempSync(join(tmpdir(), 'timbre-fuzz-'));
  gateway = await startTestGateway({}, { concurrency: 8, maxWaiting: 64 });
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  await gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

it('answers everything that Schemathesis makes up as the document says, and never with a 5xx', {
  timeout: 300_000,
}, async () => {
  const { database } = gateway.platform;
  // Not the default tenant: its state is the other tests' too.
  const { id } = await createTenant(database, { id: `fuzz-${randomUUID().slice(0, 8)}` });
  const { secret } = await createApiKey(database, id, { name: 'fuzz', scopes: SCOPES, createdBy: 't' });
  const url = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const argv = [
    ...['-m', 'schemathesis.cli', 'run', `${url}/openapi.json`, '--header', `Authorization: Bearer ${secret}`],
    ...['--checks', 'not_a_server_error,response_schema_conformance,content_type_conformance'],
    // WebSockets, which its HTTP client cannot open, and the end of the server.
    ...['--exclude-path-regex', '^/(control$|v1/stream$|v1/text-to-speech/.*stream-input$)'],
    ...['--phases', 'coverage,fuzzing', '--max-time', String(MAX_SECONDS), '--max-examples', '20'],
    // Its own threads race.
    ...['--workers', '1'],
    ...['--generation-deterministic', '--suppress-health-check', 'all', '--continue-on-failure', '--no-color'],
    ...['--request-timeout', '30', '--warnings', 'off'],
  ];
  const { stdout, failed } = await run(python, argv, { maxBuffer: 64 * 1024 * 1024, cwd: folder }).then(
    (done) => ({ stdout: done.stdout, failed: false }),
    (error: { stdout?: string; stderr?: string }) => ({ stdout: `${error.stdout}${error.stderr}`, failed: true }),
  );
  expect(failed ? stdout : 'passed').toBe('passed');
  const generated = Number(/(\d+) generated/.exec(stdout)?.[1] ?? 0);
  // As many as the machine makes in the time it has: 1,224 alone, 189 beside the other tests.
  expect(generated).toBeGreaterThan(50);
  expect(gateway.logLines.filter((line) => /"level":50/.test(line))).toEqual([]);
});
