/**
 * Whether the seams of streamed speech can be told from its interior, on the demo voices:
 *
 *     npx tsx bench/seams.ts [--streams 500] [--threads N] [--json]
 *
 * Each sentence is rendered as a stream, and every fifth whole too, with the same tokens and noise. At every seam, and everywhere else, it
 * takes the change of level and of the log-mel spectrum over a few milliseconds; seams must not exceed the interior's
 * 99th percentile, and streamed and whole audio must differ less than windows without context do from the whole.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openRuntime } from '../src/engine/onnxruntime.js';
import { SovitsUnderTest } from '../test/parity/sovits-under-test.js';
import { demoSentences } from './demo-streams.js';
import { measureSeams } from './seam-statistic.js';

const { values: flags } = parseArgs({
  options: {
    streams: { type: 'string', default: '500' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const threads = Number(flags.threads);
openRuntime({ threads });
const dataDir = mkdtempSync(join(tmpdir(), 'timbre-bench-seams-'));
try {
  const sentences = await demoSentences(dataDir, Number(flags.streams), threads);
  const sovits = new SovitsUnderTest(join(import.meta.dirname, '../demo-voice/s2.pth'));
  const figures = measureSeams(sovits.decoder, sentences, { wholeEvery: 5 });
  sovits.close();
  process.stdout.write(`${JSON.stringify(figures, null, flags.json ? 0 : 2)}\n`);
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}
