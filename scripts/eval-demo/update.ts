import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeCard } from './card.js';
import { DemoModel, modelFiles } from './demo-model.js';
import { defaultQualityFolder } from './dnsmos.js';
import { COLUMNS, type ColumnFigures, type Evaluation, evaluate } from './evaluate.js';
import { keptHumanFigures } from './human-figures.js';
import { printReport } from './report.js';
import { compareModels, scorecard } from './scorecard.js';

/**
 * `npm run demo:update -- CANDIDATE_DIR [--present DIR] [--data DIR] [--quality DIR] [--quick] [--dry-run]`:
 * evaluates the candidate and the present demo model, and puts the candidate in its place (with a new model card) only
 * where its scorecard is better. `--present-figures FILE` and `--candidate-figures FILE` are what `npm run eval:demo -- --json`
 * printed of these models, for not measuring them again; `--kept-human` takes the figures of people from an earlier run.
 */
const DEMO_VOICE = resolve(import.meta.dirname, '../../demo-voice');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    present: { type: 'string', default: DEMO_VOICE },
    'present-figures': { type: 'string' },
    'candidate-figures': { type: 'string' },
    'kept-human': { type: 'boolean', default: false },
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
const measuredHuman = values['kept-human'] ? human : null;
const measure = (name: string, modelDir: string, people: ColumnFigures | null): Promise<Evaluation> =>
  evaluate({
    modelDir,
    dataDir: values.data ?? null,
    qualityDir: values.quality,
    quick: values.quick,
    human: people,
    measured: COLUMNS,
    wavesDir: null,
    onProgress: (message) => process.stderr.write(`${name}: ${message}\n`),
  });
const judge = (name: string, modelDir: string, evaluation: Evaluation) => {
  const lines = scorecard(evaluation, human);
  console.log(`${name} (${modelDir})\n\n${printReport(evaluation, lines, human)}\n`);
  return { evaluation, lines, sizeBytes: evaluation.sizeBytes };
};

const ofPresent = values['present-figures']
  ? await readEvaluation(values['present-figures'], presentDir)
  : await measure('present', presentDir, measuredHuman);
const present = judge('present', presentDir, ofPresent);
const ofCandidate = values['candidate-figures']
  ? await readEvaluation(values['candidate-figures'], resolve(candidateDir))
  : await measure('candidate', resolve(candidateDir), ofPresent.columns.human ?? measuredHuman);
const candidate = judge('candidate', resolve(candidateDir), ofCandidate);
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

/** An earlier evaluation; throws where it is of another model or of other sets than this run's. */
async function readEvaluation(path: string, modelDir: string): Promise<Evaluation> {
  const evaluation = JSON.parse(readFileSync(path, 'utf8')) as Evaluation;
  const model = await DemoModel.open(modelDir);
  const { digest } = model;
  await model.close();
  if (evaluation.digest !== digest) {
    throw new Error(`"${path}" is of model ${evaluation.digest}, not of ${digest} in "${modelDir}"; measure that one`);
  }
  if (evaluation.quick !== values.quick) throw new Error(`"${path}" is of other sets: only one of the two is --quick`);
  return evaluation;
}

function replaceFiles(from: string): void {
  for (const file of modelFiles(presentDir)) rmSync(join(presentDir, file));
  for (const file of modelFiles(from)) {
    mkdirSync(dirname(join(presentDir, file)), { recursive: true });
    cpSync(join(from, file), join(presentDir, file));
  }
}
