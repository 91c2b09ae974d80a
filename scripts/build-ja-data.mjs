/**
 * Makes `src/text/ja/data/dictionary.br` from the compiled NAIST Japanese dictionary of Open JTalk 1.11 (BSD-3-Clause):
 *
 *   apt-get download open-jtalk-mecab-naist-jdic && dpkg-deb -x open-jtalk-mecab-naist-jdic_1.11-3_all.deb naist
 *   node scripts/build-ja-data.mjs naist/var/lib/mecab/dic/open-jtalk/naist-jdic
 *
 * The words are a minimal acyclic automaton over UTF-16 units: equal endings are stored once, which verbs and adjectives
 * make the most of. Every final state knows how many entries its word has, every transition how many come before the
 * words behind it, so that walking a word gives the place of its entries in the columns. Words with characters that
 * never reach the analyser (src/text/ja/pieces.ts) are left out, and so are base forms and written readings, which no
 * rule looks at. Format: src/text/zh/sections.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const source = process.argv[2];
if (!source) throw new Error('usage: node scripts/build-ja-data.mjs FOLDER_OF_sys.dic');
const OUT = join(dirname(fileURLToPath(import.meta.url)), '../src/text/ja/data/dictionary.br');

/** What the analyser sees: kana, Han, full-width small letters and digits, and the marks inside numbers. */
const SEEN = /^[々〇\u3041-\u30ff\u4e00-\u9fffａ-ｚ０-９．，％−]+$/u;
/** Counters whose numbers may take the native reading are told apart by their written reading: see numeral-tables.ts. */
const NATIVE = new Set(
  'ムネ カケ クダリ ケタ スジ ソロイ タビ ツカミ ツガイ ツマミ トオリ トコロ トセ マワリ シーズン セット ニギリ カブ サオ ツキ コト クチ サシ サラ ヤマ シャク カサネ フリ ハリ キレ タバ ツヅキ フクロ ハシラ ツボ ハコ ハチ バン シナ ビン ワケ マク ヤ ヨ ツブ ワク ツオリ トキ ガサネ'.split(
    ' ',
  ),
);

const file = (name) => readFileSync(join(source, name));
const utf8 = new TextDecoder();

/** Entries of a compiled MeCab dictionary: [word, id, cost, feature]. */
function entriesOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const arraySize = view.getUint32(24, true);
  const tokenSize = view.getUint32(28, true);
  const units = new Int32Array(bytes.buffer.slice(bytes.byteOffset + 72, bytes.byteOffset + 72 + arraySize));
  const tokensAt = 72 + arraySize;
  const featuresAt = tokensAt + tokenSize;
  const feature = (at) => utf8.decode(bytes.subarray(featuresAt + at, bytes.indexOf(0, featuresAt + at)));
  const entries = [];
  const stack = [[units[0], []]];
  while (stack.length > 0) {
    const [base, path] = stack.pop();
    if (units[2 * base + 1] === base && units[2 * base] < 0) {
      const value = -units[2 * base] - 1;
      const word = utf8.decode(Uint8Array.from(path));
      for (let i = 0; i < (value & 255); i++) {
        const at = tokensAt + ((value >> 8) + i) * 16;
        entries.push([
          word,
          view.getUint16(at, true),
          view.getInt16(at + 6, true),
          feature(view.getUint32(at + 8, true)),
        ]);
      }
    }
    for (let byte = 255; byte > 0; byte--) {
      const next = base + byte + 1;
      if (2 * next < units.length && units[2 * next + 1] === base) stack.push([units[2 * next], [...path, byte]]);
    }
  }
  return entries;
}

/** Kana of pronunciations, one byte each. */
const KANA = [
  ...'ァアィイゥウェエォオカガキギクグケゲコゴサザシジスズセゼソゾタダチヂッツヅテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモャヤュユョヨラリルレロヮワヰヱヲンヴヵヶー、？・',
];
const kanaByte = new Map(KANA.map((kana, i) => [kana, i]));
const SMALL = new Set('ァィゥェォャュョヮ');
const morae = (kana) => [...kana].filter((mora) => !SMALL.has(mora)).length;

/** The word of the reference implementation's own dictionary (GPT-SoVITS, ja_userdic/userdict.csv, MIT). */
const ADDED = [['主殿', 1345, 1000, '名詞,一般,*,*,*,*,主殿,アルジドノ,アルジドノ,3/5,*']];
const entries = [...entriesOf(file('sys.dic')), ...ADDED].filter(([word]) => SEEN.test(word));
const byWord = new Map();
for (const [word, id, cost, feature] of entries) {
  let list = byWord.get(word);
  if (!list) byWord.set(word, (list = []));
  list.push({ id, cost, feature: feature.split(',') });
}
const words = [...byWord.keys()].sort((a, b) => (a < b ? -1 : 1));

// Columns, one row an entry.
const grammarNames = [];
const grammarIds = new Map();
const ruleNames = [];
const ruleIds = new Map();
const idOf = (names, ids, name) => {
  if (!ids.has(name)) ids.set(name, names.push(name) - 1);
  return ids.get(name);
};
const grammarOfContext = [];
const contexts = [];
const costs = [];
const accents = [];
const rules = [];
const pronunciationLengths = [];
const pronunciations = [];
const compounds = {};
const moraExceptions = {};
const grammarExceptions = {};
const nativeCounters = [];
for (const word of words) {
  for (const { id, cost, feature } of byWord.get(word)) {
    const row = contexts.length;
    const [pos, group1, group2, group3, , form, base, read, spoken, accent, rule] = feature;
    const grammar = idOf(
      grammarNames,
      grammarIds,
      [pos, group1, group2, group3, form.startsWith('連用') ? '連用' : '*'].join(','),
    );
    grammarOfContext[id] ??= grammar;
    if (grammarOfContext[id] !== grammar) grammarExceptions[row] = grammar;
    const pronunciation = spoken.replaceAll('’', '');
    const parts = accent.split(':');
    const symbol = !accent.includes('/') || accent.includes('*');
    contexts.push(id);
    costs.push(cost);
    rules.push(idOf(ruleNames, ruleIds, rule));
    if (parts.length > 1 || (!symbol && [...pronunciation].some((kana) => !kanaByte.has(kana)))) {
      const strings = base.split(':');
      const spokenParts = pronunciation.split(':');
      let rest = word;
      compounds[row] = parts.map((part, i) => {
        const [nucleus, count] = part.split('/').map(Number);
        const string = i + 1 < parts.length ? strings[i] : rest;
        rest = rest.slice(string.length);
        return [string, spokenParts[i] ?? '', nucleus, count];
      });
      accents.push(0);
      pronunciationLengths.push(0);
    } else if (symbol) {
      accents.push(0);
      pronunciationLengths.push(0);
      moraExceptions[row] = 0;
    } else {
      const [nucleus, count] = accent.split('/').map(Number);
      accents.push(nucleus);
      pronunciationLengths.push(pronunciation.length);
      for (const kana of pronunciation) pronunciations.push(kanaByte.get(kana));
      if (count !== morae(pronunciation)) moraExceptions[row] = count;
    }
    if ((group2 === '助数詞' || group1 === '副詞可能') && NATIVE.has(read)) nativeCounters.push(row);
  }
}

// The automaton. States are arrays of [unit, target] with `entries`, the number of entries of the word that ends here.
let nextState = 0;
const register = new Map();
const states = [];
const newState = () => ({ id: nextState++, entries: 0, units: [], targets: [], total: 0 });
function freeze(state) {
  const key = `${state.entries};${state.units.map((unit, i) => `${unit}:${state.targets[i].id}`).join()}`;
  const known = register.get(key);
  if (known) return known;
  state.total = state.entries + state.targets.reduce((sum, target) => sum + target.total, 0);
  register.set(key, state);
  states.push(state);
  return state;
}
const root = newState();
const open = [root];
let previous = '';
const close = (depth) => {
  while (open.length > depth + 1) {
    const frozen = freeze(open.pop());
    open.at(-1).targets[open.at(-1).targets.length - 1] = frozen;
  }
};
for (const word of words) {
  let shared = 0;
  while (shared < word.length && word[shared] === previous[shared]) shared++;
  close(shared);
  for (let i = shared; i < word.length; i++) {
    const state = newState();
    open.at(-1).units.push(word.charCodeAt(i));
    open.at(-1).targets.push(state);
    open.push(state);
  }
  open.at(-1).entries = byWord.get(word).length;
  previous = word;
}
close(0);
freeze(root);
// Numbered so that a state's transitions lie together; the root first, then breadth first, so that hot states are near.
const order = [root];
const placed = new Set(order);
for (let i = 0; i < order.length; i++) {
  for (const target of order[i].targets) {
    if (!placed.has(target)) {
      placed.add(target);
      order.push(target);
    }
  }
}
const numbers = new Map(order.map((state, i) => [state, i]));
const transitionCounts = order.map((state) => state.units.length);
const finalCounts = order.map((state) => state.entries);
const units = order.flatMap((state) => state.units);
const targets = order.flatMap((state) => state.targets.map((target) => numbers.get(target)));

const matrix = file('matrix.bin');
const matrixView = new DataView(matrix.buffer, matrix.byteOffset, matrix.byteLength);
const size = matrixView.getUint16(0, true);
const connections = Int16Array.from({ length: size * size }, (_, i) => matrixView.getInt16(4 + 2 * i, true));

// Categories of characters and the entries of unknown words.
const charBytes = file('char.bin');
const charView = new DataView(charBytes.buffer, charBytes.byteOffset, charBytes.byteLength);
const categoryCount = charView.getUint32(0, true);
const categoryNames = Array.from({ length: categoryCount }, (_, i) =>
  utf8.decode(charBytes.subarray(4 + 32 * i, 36 + 32 * i)).replace(/\0.*$/s, ''),
);
const charInfo = (code) => charView.getUint32(4 + 32 * categoryCount + 4 * code, true);
const categories = [];
let last;
for (let code = 0; code < 0xffff; code++) {
  const info = charInfo(code);
  if (info !== last) categories.push([code, info]);
  last = info;
}
const unknown = Object.fromEntries(categoryNames.map((name) => [name, []]));
for (const [name, id, cost, feature] of entriesOf(file('unk.dic'))) {
  const [pos, group1, group2, group3, , form] = feature.split(',');
  unknown[name].push([
    id,
    cost,
    idOf(grammarNames, grammarIds, [pos, group1, group2, group3, form.startsWith('連用') ? '連用' : '*'].join(',')),
  ]);
}

write(
  {
    size,
    kana: KANA.join(''),
    grammar: grammarNames,
    grammarOfContext: Array.from(grammarOfContext, (grammar) => grammar ?? 0),
    rules: ruleNames,
    compounds,
    moraExceptions,
    grammarExceptions,
    nativeCounters,
    categories,
    unknown: categoryNames.map((name) => unknown[name]),
  },
  {
    units: Uint16Array.from(units),
    // Three bytes in columns of their own: the high ones hardly change.
    targetsLow: Uint16Array.from(targets, (target) => target & 0xffff),
    targetsHigh: Uint8Array.from(targets, (target) => target >> 16),
    transitionCounts: Uint16Array.from(transitionCounts),
    finalCounts: Uint8Array.from(finalCounts),
    connections,
    contexts: Uint16Array.from(contexts),
    costs: Int16Array.from(costs),
    accents: Uint8Array.from(accents),
    rules: Uint8Array.from(rules),
    pronunciationLengths: Uint8Array.from(pronunciationLengths),
    pronunciations: Uint8Array.from(pronunciations),
  },
);
console.log(`${words.length} words, ${contexts.length} entries, ${order.length} states, ${units.length} transitions`);

function write(header, sections) {
  const layout = {};
  let size = 0;
  for (const [key, array] of Object.entries(sections)) {
    layout[key] = { type: array.constructor.name, offset: size, length: array.length };
    size = Math.ceil((size + array.byteLength) / 8) * 8;
  }
  let json = JSON.stringify({ ...header, layout });
  while ((4 + Buffer.byteLength(json)) % 8 !== 0) json += ' ';
  const head = Buffer.from(json);
  const out = Buffer.alloc(4 + head.length + size);
  out.writeUInt32LE(head.length, 0);
  head.copy(out, 4);
  for (const [key, array] of Object.entries(sections)) {
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).copy(out, 4 + head.length + layout[key].offset);
  }
  const compressed = brotliCompressSync(out, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: out.length,
    },
  });
  writeFileSync(OUT, compressed);
  console.log(`${compressed.length} bytes`);
}
