import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeCard } from './card.js';
import { defaultQualityFolder } from './dnsmos.js';
import { COLUMNS, evaluate } from './evaluate.js';
import { keepHumanFigures, keptHumanFigures } from './human-figures.js';
import { printReport } from './report.js';
import { passes, scorecard, totalScore } from './scorecard.js';

/**
 * `npm run eval:demo -- [--model-dir DIR] [--data DIR] [--quality DIR] [--quick] [--json] [--card] [--waves DIR]
 * [--kept-human | --keep-human] [--columns copy,prompted,promptFree]` measures the demo voice through our engine beside human recordings and copy-synthesis.
 */
const { values } = parseArgs({
  options: {
    'model-dir': { type: 'string', default: resolve(import.meta.dirname, '../../demo-voice') },
    data: { type: 'string' },
    quality: { type: 'string', default: defaultQualityFolder() },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    card: { type: 'boolean', default: false },
    'kept-human': { type: 'boolean', default: false },
    'keep-human': { type: 'boolean', default: false },
    columns: { type: 'string', default: COLUMNS.join() },
    waves: { type: 'string' },
  },
});

const started = performance.now();
const evaluation = await evaluate({
  modelDir: values['model-dir'],
  dataDir: values.data ?? null,
  qualityDir: values.quality,
  quick: values.quick,
  human: values['kept-human'] ? keptHumanFigures() : null,
  measured: COLUMNS.filter((column) => values.columns.split(',').includes(column)),
  wavesDir: values.waves ?? null,
  onProgress: (message) => process.stderr.write(`${Math.round((performance.now() - started) / 1000)} s  ${message}\n`),
});
if (values['keep-human'] && evaluation.columns.human && !values.quick) keepHumanFigures(evaluation.columns.human);
const human = keptHumanFigures();
const lines = scorecard(evaluation, human);
if (values.json) {
  const bars = lines.map((line) => ({ ...line, passed: passes(line) }));
  console.log(JSON.stringify({ score: totalScore(lines), bars, ...evaluation }, null, 2));
} else {
  console.log(printReport(evaluation, lines, human));
}
if (values.card) await writeCard(values['model-dir'], evaluation, lines, human);
