/**
 * How many characters our Chinese front end reads right, and how many the model alone does: in the everyday sentences of
 * src/text/zh/fixtures, and of the labelled ones of the CPP dataset. npx tsx evaluate.mts FOLDER [test|dev]
 * A third tone that sandhi raised counts as right, and so does any tone of 一 and 不; of the model neither does.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chinesePhonemes } from '../../src/text/zh/chinese.js';
import { SentenceContext } from '../../src/text/zh/polyphone-model.js';
import { readWord, spell } from '../../src/text/zh/syllables.js';

const EVERYDAY = new URL('../../src/text/zh/fixtures/everyday-polyphones.txt', import.meta.url);
const everyday = { all: 0, right: 0, alone: 0 };
for (const marked of readFileSync(EVERYDAY, 'utf8').trim().split('\n')) {
  const text = marked.replaceAll(/\[[a-z]+\d\]/g, '');
  const model = new SentenceContext(`${text}。`);
  const { units } = chinesePhonemes(`${text}。`, { symbols: 'v2' });
  let at = 0;
  for (const [, character = '', label] of marked.matchAll(/([^[\]])(?:\[([a-z]+\d)\])?/g)) {
    if (label !== undefined) {
      const alone = model.readingAt(at);
      everyday.all++;
      everyday.alone += Number(alone !== undefined && spell(alone.reading) === label);
      everyday.right += Number(agrees(character, units[at]?.reading ?? '', label));
    }
    at++;
  }
}
console.log(`everyday sentences: ${everyday.right} of ${everyday.all}, the model alone ${everyday.alone}`);

const [, , folder = '.', part = 'test'] = process.argv;
const lines = (name: string): string[] => readFileSync(join(folder, name), 'utf8').trim().split('\n');
const labels = lines(`${part}.lb`);
const bySource = new Map<string, { right: number; all: number }>();
let right = 0;
let rightAlone = 0;
lines(`${part}.sent`).forEach((sentence, i) => {
  const at = sentence.indexOf('▁');
  const text = sentence.replaceAll('▁', '');
  const label = (labels[i] ?? '').replace('u:', 'v');
  // Of a character with one reading that a voice can say the model says nothing.
  const alone = new SentenceContext(text).readingAt(at)?.reading ?? readWord(text[at] ?? '')[0];
  rightAlone += Number(alone !== undefined && spell(alone) === label);
  const { units } = chinesePhonemes(text, { symbols: 'v2' });
  const unit = units.find(({ start, end }) => start === at && end === at + 1);
  const isRight = unit !== undefined && agrees(unit.text, unit.reading, label);
  const source = unit?.rule.split(',')[0] ?? 'lost';
  const counts = bySource.get(source) ?? { right: 0, all: 0 };
  bySource.set(source, { right: counts.right + Number(isRight), all: counts.all + 1 });
  right += Number(isRight);
});
const share = (count: number): string =>
  `${count} of ${labels.length} (${((100 * count) / labels.length).toFixed(2)} %)`;
console.log(`the model alone: ${share(rightAlone)}`);
console.log(`the whole front end: ${share(right)}`);
for (const [source, counts] of bySource) console.log(`  ${source}: ${counts.right} of ${counts.all}`);

function agrees(character: string, read: string, label: string): boolean {
  if (read === label) return true;
  if (read.slice(0, -1) !== label.slice(0, -1)) return false;
  return '一不'.includes(character) || (label.endsWith('3') && read.endsWith('2'));
}
