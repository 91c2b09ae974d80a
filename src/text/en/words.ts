import { splitCompound } from './compounds.js';
import { letterToSound } from './letter-to-sound.js';
import { englishLexicon } from './lexicon.js';
import { productName } from './product-names.js';

/**
 * The phones of one word, in any case: from the lexicon, the names (capitalised words), our list of product names; by
 * letters when it has at most three of them or no vowel; from its parts (hyphens, contractions, possessive, endings,
 * compounds); else by the letter-to-sound model. upstream: text/english.py en_G2p.qryword
 */
export function pronounceWord(token: string): readonly string[] {
  return pronounce(token).phones;
}

/** The phones of a word and what gave them. */
export interface Pronunciation {
  readonly phones: readonly string[];
  readonly rule: string;
}

/** As pronounceWord, with its reason. */
export function pronounce(token: string): Pronunciation {
  const lexicon = englishLexicon();
  const word = token.toLowerCase();
  if (word.length > 1) {
    const known = lexicon.word(word);
    if (known !== undefined) return { phones: known, rule: 'dictionary' };
  }
  if (TITLE_CASE.test(token)) {
    const name = lexicon.name(word);
    if (name !== undefined) return { phones: name, rule: 'names' };
  }
  const product = productName(word);
  if (product !== undefined) return { phones: product, rule: 'product names' };
  // ttyl, yyds: without a vowel, and no cluster that opens a word
  if (word.length <= 3 || /^[^aeiouy'-]{1,8}$|^([^aeiou'-])\1[^aeiou'-]{1,5}$/.test(word)) {
    return { phones: spell(word), rule: 'spelt' };
  }
  if (word.includes('-')) return { phones: token.split('-').flatMap(hyphenPart), rule: 'parts' };
  if (word.includes("'")) return { phones: contraction(token), rule: 'apostrophe' };
  const form = inflected(word);
  if (form !== undefined) return { phones: form, rule: 'ending' };
  const parts = compound(word);
  if (parts !== undefined) return { phones: parts, rule: 'compound' };
  return { phones: letterToSound(word), rule: 'letter to sound' };
}

/** Python's str.istitle, as far as words go. */
const TITLE_CASE = /^[A-Z][a-z]*(?:[^A-Za-z]+[A-Z][a-z]*)*$/;

const VOICELESS: ReadonlySet<string> = new Set(['P', 'T', 'K', 'F', 'TH', 'HH']);
const SIBILANT: ReadonlySet<string> = new Set(['S', 'Z', 'SH', 'ZH', 'CH', 'JH']);

/** A part of "low-latency"; the dictionary's re and de are words of their own, not the prefixes of "re-enter". */
function hyphenPart(part: string, index: number): readonly string[] {
  if (part === '') return [];
  const prefix = index === 0 && /^(?:re|de)$/i.test(part) ? PREFIXES[part.toLowerCase()] : undefined;
  return prefix ?? pronounceWord(part);
}

/** Letters by name; a is EY1 here, unlike the article. */
function spell(word: string): readonly string[] {
  return [...word].flatMap((letter) => (letter === 'a' ? ['EY1'] : (englishLexicon().word(letter) ?? [])));
}

const ENDINGS: readonly (readonly [RegExp, (phones: readonly string[]) => readonly string[]])[] = [
  [/'s$/, addS],
  [/'ve$/, (phones) => [...phones, 'AH0', 'V']],
  [/'ll$/, (phones) => [...phones, 'AH0', 'L']],
  [/'d$/, (phones) => [...phones, ...(isDental(phones) ? ['AH0', 'D'] : ['D'])]],
  [/'re$/, (phones) => [...phones, 'ER0']],
  [/'m$/, (phones) => [...phones, 'M']],
  [/n't$/, (phones) => [...phones, 'AH0', 'N', 'T']],
  [/'$/, (phones) => phones],
];

/** "Kubernetes's", "shouldn't've", "O'Hanlon": the ending or the parts around the apostrophe. */
function contraction(token: string): readonly string[] {
  for (const [ending, add] of ENDINGS) {
    const stem = token.replace(new RegExp(ending.source, 'i'), '');
    if (stem !== token && stem !== '') return add(pronounceWord(stem));
  }
  const joined = englishLexicon().word(token.toLowerCase().replaceAll("'", ''));
  if (joined !== undefined) return joined;
  return token
    .split("'")
    .filter((part) => part !== '')
    .flatMap((part) => (part.toLowerCase() === 'o' ? ['OW0'] : pronounceWord(part)));
}

/** The sound of the ending s behind a stem. upstream: text/english.py qryword, possessives */
function addS(phones: readonly string[]): readonly string[] {
  const last = phones.at(-1) ?? '';
  if (VOICELESS.has(last)) return [...phones, 'S'];
  return SIBILANT.has(last) ? [...phones, 'AH0', 'Z'] : [...phones, 'Z'];
}

function addEd(phones: readonly string[]): readonly string[] {
  const last = phones.at(-1) ?? '';
  if (isDental(phones)) return [...phones, 'IH0', 'D'];
  return VOICELESS.has(last) || last === 'S' || last === 'SH' || last === 'CH' ? [...phones, 'T'] : [...phones, 'D'];
}

function isDental(phones: readonly string[]): boolean {
  return phones.at(-1) === 'T' || phones.at(-1) === 'D';
}

/** A regular form of a word in the lexicon: "dockerfiles", "misconfigured", "quantizing". */
function inflected(word: string): readonly string[] | undefined {
  for (const [ending, stems, add] of FORMS) {
    if (!word.endsWith(ending) || word.length - ending.length < 3) continue;
    const base = word.slice(0, -ending.length);
    for (const stem of stems) {
      const candidate = stem === '2' ? undouble(base) : base + stem;
      const phones = candidate === undefined ? undefined : stemPhones(candidate);
      if (phones !== undefined) return add(phones);
    }
  }
  return undefined;
}

type Form = readonly [ending: string, stems: readonly string[], add: (phones: readonly string[]) => readonly string[]];
const suffix =
  (...more: string[]) =>
  (phones: readonly string[]) => [...phones, ...more];
/** Ending, what its stem may end in instead ("2": the last consonant doubled), and its sound. */
const FORMS: readonly Form[] = [
  ['ies', ['y'], addS],
  ['ied', ['y'], addEd],
  ['ed', ['e', '', '2'], addEd],
  ['ing', ['e', '', '2'], suffix('IH0', 'NG')],
  ['ings', ['e', '', '2'], suffix('IH0', 'NG', 'Z')],
  ['ly', [''], suffix('L', 'IY0')],
  ['ness', [''], suffix('N', 'AH0', 'S')],
  ['less', [''], suffix('L', 'AH0', 'S')],
  ['ful', [''], suffix('F', 'AH0', 'L')],
  ['ment', ['e', ''], suffix('M', 'AH0', 'N', 'T')],
  ['er', ['e', '', '2'], suffix('ER0')],
  ['ers', ['e', '', '2'], suffix('ER0', 'Z')],
  ['es', ['e', ''], addS],
  ['s', [''], addS],
];

function stemPhones(stem: string): readonly string[] | undefined {
  // Rare entries of the dictionary are mostly surnames, whose stems prove nothing.
  const commonness = englishLexicon().commonness(stem);
  if (commonness !== undefined && commonness <= 7 && stem.length > 3) return englishLexicon().word(stem);
  return productName(stem) ?? (stem.length > 5 ? compound(stem) : undefined);
}

function undouble(base: string): string | undefined {
  return base.at(-1) === base.at(-2) ? base.slice(0, -1) : undefined;
}

function compound(word: string): readonly string[] | undefined {
  return splitCompound(word)?.flatMap((part) => partPhones(part));
}

function partPhones(part: string): readonly string[] {
  return PREFIXES[part] ?? englishLexicon().word(part) ?? spell(part);
}

/** Prefixes that the lexicon lacks as words or holds as names. */
export const PREFIXES: Readonly<Record<string, readonly string[]>> = {
  un: ['AH0', 'N'],
  re: ['R', 'IY0'],
  de: ['D', 'IY0'],
  mis: ['M', 'IH0', 'S'],
  dis: ['D', 'IH0', 'S'],
  non: ['N', 'AA0', 'N'],
  pre: ['P', 'R', 'IY0'],
  sub: ['S', 'AH0', 'B'],
  bio: ['B', 'AY1', 'OW0'],
  cyber: ['S', 'AY1', 'B', 'ER0'],
  nano: ['N', 'AE1', 'N', 'OW0'],
  crypto: ['K', 'R', 'IH1', 'P', 'T', 'OW0'],
  geo: ['JH', 'IY1', 'OW0'],
  neuro: ['N', 'UH1', 'R', 'OW0'],
  pseudo: ['S', 'UW1', 'D', 'OW0'],
};
