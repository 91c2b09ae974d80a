// Builds src/text/en/data/lexicon.br and homographs.txt:
//   node build-lexicon.mjs CMUDICT_07B CMUDICT_NEWER HOT_WORDS NAMES.json SCOWL_FOLDER HOMOGRAPHS OUT_FOLDER
//
// Lexicon: brotli of UTF-8 lines "word TAB commonness phones", sorted by word, an empty line, then the names in the same
// form. Commonness is one digit, 1 (everyone's word) to 8 (rare), 9 (unknown to SCOWL). Each phone is one character:
// code 48 + its index in PHONES below, which src/text/en/lexicon.ts repeats.
// Order of precedence: hot words, then CMUdict 0.7b, then the newer edition.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const PHONES =
  'AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW0 UW1 UW2 V W Y Z ZH'.split(
    ' ',
  );
const codes = new Map(PHONES.map((phone, i) => [phone, String.fromCharCode(48 + i)]));
// Spelt out or read otherwise today. upstream: text/english.py en_G2p.__init__
const REMOVED = new Set(['ae', 'ai', 'ar', 'ios', 'hud', 'os']);

const [, , oldFile, newFile, hotFile, namesFile, scowl, homographs, out] = process.argv;
const lexicon = new Map();
const add = (word, phones, replace) => {
  const key = word.toLowerCase();
  if (!/^[a-z'][a-z'.-]*$/.test(key) || (lexicon.has(key) && !replace)) return;
  // The newer edition ends some lines in a comment ("# foreign french").
  const known = phones.filter((phone) => codes.has(phone));
  lexicon.set(key, known.map((phone) => codes.get(phone)).join(''));
};
// The last of repeated entries counts in the old edition, the first in the newer one.
readFileSync(oldFile, 'latin1')
  .split('\n')
  .slice(56)
  .forEach((line) => {
    const [word, phones] = line.trim().split('  ');
    if (phones) add(word, phones.split(' '), true);
  });
for (const line of readFileSync(newFile, 'latin1').split('\n')) {
  const [word, ...phones] = line.trim().split(' ');
  if (word && phones.length > 0) add(word, phones, false);
}
for (const word of REMOVED) lexicon.delete(word);
for (const line of readFileSync(hotFile, 'utf8').split('\n')) {
  const [word, ...phones] = line.trim().split(' ');
  if (word) add(word, phones, true);
}

const commonness = new Map();
['10', '20', '35', '40', '50', '55', '60', '70'].forEach((level, i) => {
  for (const region of ['english', 'american', 'british', 'canadian', 'australian']) {
    const file = join(scowl, `${region}-words-${level}.json`);
    if (!existsSync(file)) continue;
    for (const word of JSON.parse(readFileSync(file, 'utf8'))) if (!commonness.has(word)) commonness.set(word, i + 1);
  }
});
const lineOf = ([word, phones]) => `${word}\t${commonness.get(word) ?? 9}${phones}`;
const byWord = ([a], [b]) => (a < b ? -1 : a > b ? 1 : 0);
const names = Object.entries(JSON.parse(readFileSync(namesFile, 'utf8')))
  .filter(([name]) => /^[a-z'-]+$/.test(name) && !lexicon.has(name))
  .map(([name, phones]) => [name, phones.map((phone) => codes.get(phone)).join('')]);
const text = `${[...lexicon].sort(byWord).map(lineOf).join('\n')}\n\n${names.sort(byWord).map(lineOf).join('\n')}\n`;
const packed = brotliCompressSync(Buffer.from(text), {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
});
writeFileSync(join(out, 'lexicon.br'), packed);
console.log(lexicon.size, 'words', names.length, 'names', text.length, 'bytes', packed.length, 'compressed');

// "word|pronunciation if tagged|other pronunciation|tag", with the two corrections upstream makes, and two rows of the
// source (object, rebel) whose pronunciations stand in the wrong order.
const rows = readFileSync(homographs, 'utf8')
  .split('\n')
  .filter((line) => line.includes('|') && !line.startsWith('#'))
  .map((line) => line.trim().split('|'))
  .map(([word, first, second, tag]) => [word.toLowerCase(), first, second, tag]);
const table = new Map(rows.map(([word, ...rest]) => [word, rest]));
table.set('read', ['R IY1 D', 'R EH1 D', 'VBP']);
table.set('object', ['AH0 B JH EH1 K T', 'AA1 B JH EH0 K T', 'V']);
table.set('rebel', ['R IH0 B EH1 L', 'R EH1 B AH0 L', 'V']);
table.set('complex', ['K AH0 M P L EH1 K S', 'K AA1 M P L EH0 K S', 'JJ']);
writeFileSync(
  join(out, 'homographs.txt'),
  `${[...table].sort(byWord).map(([word, rest]) => [word, ...rest].join('|')).join('\n')}\n`,
);
console.log(table.size, 'homographs');
