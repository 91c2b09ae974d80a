/**
 * Makes `src/text/zh/data/*.br` from the published tables of jieba 0.42.1 and pypinyin 0.55.0 (both MIT):
 *
 *   pip install --no-deps --target tables jieba==0.42.1 pypinyin==0.55.0
 *   cp char_convert.py tables   # PaddleSpeech, paddlespeech/t2s/frontend/zh_normalization (Apache-2.0)
 *   node scripts/build-zh-data.mjs tables
 *
 * Only Han characters U+4E00–U+9FA5 can reach the tables (normalisation removes all else), so the rest is left out.
 * Written: `words.br` (dictionary trie: frequency, part of speech), `tagger.br` (part-of-speech HMM), `cutter.br` (word
 * boundary HMM), `readings.br` (characters and phrases -> syllables), `traditional.br` (traditional -> simplified
 * characters). Format: src/text/zh/sections.ts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const tables = process.argv[2];
if (!tables) throw new Error('usage: node scripts/build-zh-data.mjs FOLDER_WITH_jieba_AND_pypinyin');
const OUT = join(dirname(fileURLToPath(import.meta.url)), '../src/text/zh/data');
const FIRST_HAN = 0x4e00;
const LAST_HAN = 0x9fa5;
const IMPOSSIBLE = -3.14e100;
const HAN_ONLY = /^[\u4e00-\u9fa5]+$/;

writeSections('words', buildWords());
writeSections('tagger', buildTagger());
writeSections('cutter', buildCutter());
writeSections('readings', buildReadings());
writeSections('traditional', buildTraditional());

/** Trie in breadth-first order; per node: character, number of children; `terminal` gets each node's word or undefined. */
function buildTrie(words) {
  const root = { children: new Map(), value: undefined };
  for (const [word, value] of words) {
    let node = root;
    for (const character of word) {
      let child = node.children.get(character);
      if (!child) node.children.set(character, (child = { children: new Map(), value: undefined }));
      node = child;
    }
    node.value = value;
  }
  const characters = [0];
  const childCounts = [];
  const values = [];
  let level = [root];
  while (level.length > 0) {
    const next = [];
    for (const node of level) {
      const sorted = [...node.children].sort(([a], [b]) => (a < b ? -1 : 1));
      childCounts.push(sorted.length);
      values.push(node.value);
      for (const [character, child] of sorted) {
        characters.push(character.codePointAt(0));
        next.push(child);
      }
    }
    level = next;
  }
  return { characters: Uint16Array.from(characters), childCounts: Uint16Array.from(childCounts), values };
}

function buildWords() {
  const words = new Map();
  let total = 0;
  for (const line of readFileSync(join(tables, 'jieba/dict.txt'), 'utf8').split('\n')) {
    if (!line) continue;
    const [word, frequency, tag] = line.trim().split(' ');
    // jieba adds every line to the total, duplicates included; the last line of a duplicate wins.
    total += Number(frequency);
    if (HAN_ONLY.test(word)) words.set(word, { frequency: Number(frequency), tag });
  }
  const tags = [...new Set([...words.values()].map((word) => word.tag))].sort();
  const trie = buildTrie(words);
  return {
    header: { total, tags },
    characters: trie.characters,
    childCounts: trie.childCounts,
    frequencyLow: Uint16Array.from(trie.values, (value) => (value?.frequency ?? 0) & 0xffff),
    frequencyHigh: Uint8Array.from(trie.values, (value) => (value?.frequency ?? 0) >>> 16),
    tags: Uint8Array.from(trie.values, (value) => (value ? tags.indexOf(value.tag) + 1 : 0)),
  };
}

function buildTagger() {
  const start = readPython('jieba/posseg/prob_start.py');
  const transitions = readPython('jieba/posseg/prob_trans.py');
  const emissions = readPython('jieba/posseg/prob_emit.py');
  const characterStates = readPython('jieba/posseg/char_state_tab.py');
  // States sorted as Python compares (position, tag) tuples: of equally probable states the highest index wins.
  const states = [...start.keys()].sort((a, b) => (a[0] === b[0] ? (a < b ? -1 : 1) : a[0] < b[0] ? -1 : 1));
  const index = new Map(states.map((state, i) => [state, i]));
  const characters = [...new Set([...characterStates.keys(), ...[...emissions.values()].flatMap((e) => [...e.keys()])])]
    .filter((character) => HAN_ONLY.test(character))
    .sort();
  const distinct = new Set();
  for (const table of [...emissions.values(), ...transitions.values()]) for (const v of table.values()) distinct.add(v);
  const values = [...distinct].filter((value) => value > IMPOSSIBLE).sort((a, b) => a - b);
  const valueIndex = new Map(values.map((value, i) => [value, i + 1]));
  const counts = [];
  const entryStates = [];
  const entryValues = [];
  const listed = [];
  for (const character of characters) {
    const own = characterStates.get(character);
    let count = 0;
    states.forEach((state, i) => {
      const value = valueIndex.get(emissions.get(state)?.get(character)) ?? 0;
      const isListed = own?.includes(state) ?? false;
      if (!isListed && value === 0) return;
      count++;
      entryStates.push(i);
      entryValues.push(value);
      listed.push(isListed ? 1 : 0);
    });
    counts.push(count);
  }
  const transitionValues = new Uint16Array(states.length * states.length);
  for (const [from, row] of transitions) {
    for (const [to, value] of row) {
      if (value <= IMPOSSIBLE) throw new Error('a listed transition is impossible; the format has no room for it');
      transitionValues[index.get(from) * states.length + index.get(to)] = valueIndex.get(value);
    }
  }
  return {
    header: { states, start: states.map((state) => start.get(state)) },
    values: Float64Array.from(values),
    transitions: transitionValues,
    characters: Uint16Array.from(characters, (character) => character.codePointAt(0)),
    counts: Uint16Array.from(counts),
    entryStates: Uint8Array.from(entryStates),
    entryValues: Uint16Array.from(entryValues),
    entryListed: Uint8Array.from(listed),
  };
}

function buildCutter() {
  const start = readPython('jieba/finalseg/prob_start.py');
  const transitions = readPython('jieba/finalseg/prob_trans.py');
  const emissions = readPython('jieba/finalseg/prob_emit.py');
  const values = [...new Set([...emissions.values()].flatMap((table) => [...table.values()]))].sort((a, b) => a - b);
  const valueIndex = new Map(values.map((value, i) => [value, i + 1]));
  const size = LAST_HAN - FIRST_HAN + 1;
  const section = (state) =>
    Uint16Array.from({ length: size }, (_, i) => {
      return valueIndex.get(emissions.get(state).get(String.fromCharCode(FIRST_HAN + i))) ?? 0;
    });
  return {
    header: {
      start: Object.fromEntries(start),
      transitions: Object.fromEntries([...transitions].map(([from, row]) => [from, Object.fromEntries(row)])),
    },
    values: Float64Array.from(values),
    B: section('B'),
    M: section('M'),
    E: section('E'),
    S: section('S'),
  };
}

function buildReadings() {
  const single = JSON.parse(readFileSync(join(tables, 'pypinyin/pinyin_dict.json'), 'utf8'));
  const phrases = JSON.parse(readFileSync(join(tables, 'pypinyin/phrases_dict.json'), 'utf8'));
  const syllables = new Map();
  const codeOf = (pinyin) => {
    const { base, tone } = splitTone(pinyin);
    if (!syllables.has(base)) syllables.set(base, syllables.size);
    return syllables.get(base) * 8 + tone;
  };
  // Not in the table or not a syllable of the symbol tables; the reading a dictionary gives, or the nearest syllable.
  const repaired = {
    呣: 'mú',
    嗯: 'ēn',
    噷: 'hēn',
    覅: 'fèi',
    兙: 'kè',
    兡: 'bǎi',
    嗧: 'jiā',
    桛: 'rěn',
    烪: 'huǐ',
    瓧: 'shí',
    瓰: 'fēn',
    瓱: 'máo',
    瓼: 'lǐ',
    甅: 'lí',
  };
  const characters = Uint16Array.from({ length: LAST_HAN - FIRST_HAN + 1 }, (_, i) => {
    const character = String.fromCharCode(FIRST_HAN + i);
    return codeOf(repaired[character] ?? single[FIRST_HAN + i].split(',')[0]);
  });
  const words = Object.entries(phrases).filter(([phrase]) => HAN_ONLY.test(phrase));
  const trie = buildTrie(words.map(([phrase, readings]) => [phrase, readings.map((reading) => codeOf(reading[0]))]));
  return {
    header: { syllables: [...syllables.keys()] },
    characters,
    phraseCharacters: trie.characters,
    phraseChildCounts: trie.childCounts,
    phraseTerminals: Uint8Array.from(trie.values, (value) => (value ? 1 : 0)),
    phraseReadings: Uint16Array.from(trie.values.flatMap((value) => value ?? [])),
  };
}

function buildTraditional() {
  const source = readFileSync(join(tables, 'char_convert.py'), 'utf8');
  const simplified = /simplified_charcters = "([^"]*)"/.exec(source)[1];
  const traditional = /traditional_characters = "([^"]*)"/.exec(source)[1];
  const pairs = new Map();
  const targets = [...simplified];
  // As in PaddleSpeech a later pair overrides an earlier one; characters that stay themselves are left out.
  for (const [i, character] of [...traditional].entries()) pairs.set(character, targets[i]);
  const changed = [...pairs].filter(([from, to]) => from !== to && from.length === 1 && to.length === 1);
  return {
    header: {},
    from: Uint16Array.from(changed, ([from]) => from.charCodeAt(0)),
    to: Uint16Array.from(changed, ([, to]) => to.charCodeAt(0)),
  };
}

/** `zhōng` -> zhong, 1; ü is written v; no mark is the neutral tone, 5. */
function splitTone(pinyin) {
  let tone = 5;
  let base = '';
  for (const character of pinyin.normalize('NFD')) {
    const mark = '\u0304\u0301\u030c\u0300'.indexOf(character);
    if (mark >= 0) tone = mark + 1;
    else if (character === '\u0308') base = `${base.slice(0, -1)}v`;
    else if (character !== '\u0302') base += character;
  }
  return { base, tone };
}

/** Reads the one `P={…}` of a jieba module into Maps (tuples become `B-n`, or arrays where a tuple holds tuples). */
function readPython(path) {
  const source = readFileSync(join(tables, path), 'utf8');
  let at = source.indexOf('{');
  return value();

  function value() {
    skip();
    const character = source[at];
    if (character === '{') return dictionary();
    if (character === '(') return tuple();
    if (character === "'" || (character === 'u' && source[at + 1] === "'")) return text();
    const match = /[-+.\deE]+/y;
    match.lastIndex = at;
    const [number] = match.exec(source);
    at += number.length;
    return Number(number);
  }
  function dictionary() {
    const map = new Map();
    at++;
    for (skip(); source[at] !== '}'; skip()) {
      const key = value();
      skip();
      at++; // the colon
      map.set(key, value());
      skip();
      if (source[at] === ',') at++;
    }
    at++;
    return map;
  }
  function tuple() {
    const items = [];
    at++;
    for (skip(); source[at] !== ')'; skip()) {
      items.push(value());
      skip();
      if (source[at] === ',') at++;
    }
    at++;
    return items.length === 2 && /^[BMES]$/.test(items[0]) && /^[a-z]+$/.test(items[1]) ? items.join('-') : items;
  }
  function text() {
    if (source[at] === 'u') at++;
    const end = source.indexOf("'", at + 1);
    const raw = source.slice(at + 1, end);
    at = end + 1;
    return raw.replace(/\\u([0-9a-f]{4})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  function skip() {
    while (/\s/.test(source[at])) at++;
  }
}

/** Sections as src/text/zh/sections.ts reads them: header length, JSON header, then each array at a multiple of 8. */
function writeSections(name, { header, ...arrays }) {
  const layout = {};
  let offset = 0;
  const parts = [];
  for (const [key, array] of Object.entries(arrays)) {
    layout[key] = { type: array.constructor.name, offset, length: array.length };
    const padded = Buffer.alloc(Math.ceil(array.byteLength / 8) * 8);
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).copy(padded);
    parts.push(padded);
    offset += padded.length;
  }
  const json = Buffer.from(JSON.stringify({ ...header, layout }));
  const head = Buffer.alloc(Math.ceil((4 + json.length) / 8) * 8, ' ');
  head.writeUInt32LE(head.length - 4, 0);
  json.copy(head, 4);
  const raw = Buffer.concat([head, ...parts]);
  const compressed = brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
  writeFileSync(join(OUT, `${name}.br`), compressed);
  process.stdout.write(`${name}.br: ${raw.length} -> ${compressed.length} bytes\n`);
}
