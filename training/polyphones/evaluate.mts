/**
 * How many labelled characters of the CPP dataset our Chinese front end reads right: npx tsx evaluate.mts FOLDER [test|dev]
 * A third tone that sandhi raised counts as right, and so does any tone of 一 and 不.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chinesePhonemes } from '../../src/text/zh/chinese.js';

const [, , folder = '.', part = 'test'] = process.argv;
const lines = (name: string): string[] => readFileSync(join(folder, name), 'utf8').trim().split('\n');
const labels = lines(`${part}.lb`);
const bySource = new Map<string, { right: number; all: number }>();
let right = 0;
lines(`${part}.sent`).forEach((sentence, i) => {
  const at = sentence.indexOf('▁');
  const { units } = chinesePhonemes(sentence.replaceAll('▁', ''), { symbols: 'v2' });
  const unit = units.find(({ start, end }) => start === at && end === at + 1);
  const isRight = unit !== undefined && agrees(unit.text, unit.reading, (labels[i] ?? '').replace('u:', 'v'));
  const source = unit?.rule.split(',')[0] ?? 'lost';
  const counts = bySource.get(source) ?? { right: 0, all: 0 };
  bySource.set(source, { right: counts.right + Number(isRight), all: counts.all + 1 });
  right += Number(isRight);
});
console.log(`${right} of ${labels.length} (${((100 * right) / labels.length).toFixed(2)} %)`);
for (const [source, counts] of bySource) console.log(`  ${source}: ${counts.right} of ${counts.all}`);

function agrees(character: string, read: string, label: string): boolean {
  if (read === label) return true;
  if (read.slice(0, -1) !== label.slice(0, -1)) return false;
  return '一不'.includes(character) || (label.endsWith('3') && read.endsWith('2'));
}
