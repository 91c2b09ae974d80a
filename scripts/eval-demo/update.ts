import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeCard } from './card.js';
import { modelFiles } from './demo-model.js';
import { defaultQualityFolder } from './dnsmos.js';
import { evaluate } from './evaluate.js';
import { keptHumanFigures } from './human-figures.js';
import { printReport } from './report.js';
import { compareModels, scorecard } from './scorecard.js';

/**
 * `npm run demo:update -- CANDIDATE_DIR [--present DIR] [--data DIR] [--quality DIR] [--quick] [--dry-run]`: evaluates the candidate and
 * the present demo model, and puts the candidate in its place (with a new model card) only where its scorecard is better.
 */
const DEMO_VOICE = resolve(import.meta.dirname, '../../demo-voice');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    present: { type: 'string', default: DEMO_VOICE },
    data: { type: 'string' },
    quality: { type: 'string', default: defaultQualityFolder() },
    quick: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
});
const presentDir = resolve(values.present);
const [candidateDir] = positionals;
if (!candidateDir) throw new Error('usage: npm run demo:update -- CANDIDATE_DIR [--data DIR] [--dry-run]');

const human = keptHumanFigures();
const judge = async (name: string, modelDir: string) => {
  const evaluation = await evaluate({
    modelDir,
    dataDir: values.data ?? null,
    qualityDir: values.quality,
    quick: values.quick,
    wavesDir: null,
    onProgress: (message) => process.stderr.write(`${name}: ${message}\n`),
  });
  const lines = scorecard(evaluation, human);
  console.log(`${name} (${modelDir})\n\n${printReport(evaluation, lines, human)}\n`);
  return { evaluation, lines, sizeBytes: evaluation.sizeBytes };
};

const present = await judge('present', presentDir);
const candidate = await judge('candidate', resolve(candidateDir));
const verdict = compareModels(present, candidate);
for (const reason of verdict.reasons) console.log(`note: ${reason}`);
console.log(`score ${verdict.presentScore.toFixed(1)} → ${verdict.candidateScore.toFixed(1)} over the lines both have`);
if (!verdict.replace) {
  console.log('the present model stays');
  process.exitCode = 1;
} else if (values['dry-run']) {
  console.log('the candidate is better (dry run: nothing was replaced)');
} else {
  replaceFiles(resolve(candidateDir));
  console.log(`${presentDir} is the candidate now`);
  if (presentDir === DEMO_VOICE) {
    await writeCard(presentDir, candidate.evaluation, candidate.lines, human);
    console.log('so is the evaluation in docs/demo-voice.md; bring the rest of the card up to date, and commit both');
  }
}

function replaceFiles(from: string): void {
  for (const file of modelFiles(presentDir)) rmSync(join(presentDir, file));
  for (const file of modelFiles(from)) {
    mkdirSync(dirname(join(presentDir, file)), { recursive: true });
    cpSync(join(from, file), join(presentDir, file));
  }
}
