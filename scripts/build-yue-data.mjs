/**
 * Makes `src/text/yue/data/jyutping.br` from the readings of ToJyutping 3.2.0 (BSD-2-Clause):
 *
 *   pip download --no-deps ToJyutping==3.2.0 && unzip ToJyutping-3.2.0-*.whl ToJyutping/trie.txt
 *   node scripts/build-yue-data.mjs ToJyutping/trie.txt
 *
 * A trie over the UTF-16 units of characters and words, breadth first, with the first (most usual) reading of each.
 * Format: src/text/zh/sections.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const source = process.argv[2];
if (!source) throw new Error('usage: node scripts/build-yue-data.mjs PATH_OF_trie.txt');
const OUT = join(dirname(fileURLToPath(import.meta.url)), '../src/text/yue/data/jyutping.br');

const ONSETS = ['', ...'b p m f d t n l g k ng gw kw w h z c s j'.split(' ')];
const NUCLEI = 'aa a e i o u'.split(' ');
const CODAS = ['', ...'i u m n ng p t k'.split(' ')];
const RHYMES = 'oe oen oeng oet oek eoi eon eot yu yun yut m ng'.split(' ');
const TONES = 6;
const REGULAR_RHYMES = NUCLEI.length * CODAS.length;
const ONSET_SIZE = (REGULAR_RHYMES + RHYMES.length) * TONES;

function syllableOf(id) {
  const rhyme = Math.floor((id % ONSET_SIZE) / TONES);
  const spelt =
    rhyme >= REGULAR_RHYMES
      ? RHYMES[rhyme - REGULAR_RHYMES]
      : NUCLEI[Math.floor(rhyme / CODAS.length)] + CODAS[rhyme % CODAS.length];
  return `${ONSETS[Math.floor(id / ONSET_SIZE)]}${spelt}${(id % TONES) + 1}`;
}

/**
 * The words of a trie.txt with their readings: one list of syllables a character. In the file `{` goes down, `}` up,
 * characters follow one another on the way to a node, two characters below U+007B are a syllable, and `~` joins a
 * further syllable to the same character.
 */
function wordsOf(text) {
  const s = Array.from(text);
  const words = new Map();
  const paths = [''];
  let i = 1;
  while (paths.length > 0) {
    let path = paths.at(-1);
    while (s[i].codePointAt(0) >= 256) path += s[i++];
    const size = Array.from(path).length;
    let first;
    while (s[i].codePointAt(0) < 123) {
      const reading = [];
      for (let c = 0; c < size; c++) {
        const syllables = [];
        for (;;) {
          syllables.push(syllableOf((s[i].charCodeAt(0) - 33) * 90 + s[i + 1].charCodeAt(0) - 33));
          i += 2;
          if (s[i] !== '~') break;
          i++;
        }
        reading.push(syllables);
      }
      first ??= reading;
    }
    if (first) words.set(path, first);
    if (s[i] === '{') {
      i++;
      paths.push(path);
    } else if (s[i] === '}') {
      i++;
      paths.pop();
    }
  }
  return words;
}

const words = wordsOf(readFileSync(source, 'utf8'));
const syllables = [...new Set([...words.values()].flat().map((parts) => parts.join(' ')))].sort();
const syllableIds = new Map(syllables.map((syllable, id) => [syllable, id]));

const root = { children: new Map(), reading: [] };
for (const [word, reading] of words) {
  let node = root;
  for (let i = 0; i < word.length; i++) {
    let child = node.children.get(word.charCodeAt(i));
    if (!child) node.children.set(word.charCodeAt(i), (child = { children: new Map(), reading: [] }));
    node = child;
  }
  node.reading = reading.map((parts) => syllableIds.get(parts.join(' ')));
}

const characters = [0];
const childCounts = [];
const readingLengths = [];
const readings = [];
for (let level = [root]; level.length > 0; ) {
  const next = [];
  for (const node of level) {
    const sorted = [...node.children].sort(([a], [b]) => a - b);
    childCounts.push(sorted.length);
    readingLengths.push(node.reading.length);
    readings.push(...node.reading);
    for (const [code, child] of sorted) {
      characters.push(code);
      next.push(child);
    }
  }
  level = next;
}

writeSections({
  header: { syllables },
  arrays: {
    characters: Uint16Array.from(characters),
    childCounts: Uint16Array.from(childCounts),
    readingLengths: Uint8Array.from(readingLengths),
    readings: Uint16Array.from(readings),
  },
});
console.log(`${words.size} characters and words, ${syllables.length} syllables, ${childCounts.length} nodes`);

function writeSections({ header, arrays }) {
  const layout = {};
  const chunks = [];
  let offset = 0;
  for (const [key, array] of Object.entries(arrays)) {
    layout[key] = { type: array.constructor.name, offset, length: array.length };
    const padded = Buffer.alloc(Math.ceil(array.byteLength / 8) * 8);
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).copy(padded);
    chunks.push(padded);
    offset += padded.length;
  }
  let json = JSON.stringify({ ...header, layout });
  while ((4 + Buffer.byteLength(json)) % 8 !== 0) json += ' ';
  const size = Buffer.alloc(4);
  size.writeUInt32LE(Buffer.byteLength(json));
  const raw = Buffer.concat([size, Buffer.from(json), ...chunks]);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  const packed = brotliCompressSync(raw, { params });
  writeFileSync(OUT, packed);
  console.log(`jyutping.br: ${raw.length} -> ${packed.length} bytes`);
}
