import { type Dictionary, type Grammar, pronunciationOf } from './dictionary.js';

/**
 * A word on its way from the dictionary to its sound. The passes of `analysis.ts` change it in place.
 * upstream: Open JTalk's NJDNode
 */
export interface Word {
  text: string;
  /** Where it stands in the analysed text. */
  start: number;
  end: number;
  pos: string;
  group1: string;
  group2: string;
  group3: string;
  /** `連用` for a form that joins what follows. */
  readonly form: string;
  /** Katakana with `ー`; `、` is a pause; empty for a word that is to disappear. */
  pronunciation: string;
  /** Mora after which the pitch falls; 0: it does not. Of an accent phrase, its first word's counts. */
  accent: number;
  morae: number;
  /** How it changes the accent of what it joins: see `accent-types.ts`. */
  rule: string;
  /** Whether it joins the accent phrase before it; undecided until `accent-phrases.ts`. */
  joins: boolean | undefined;
  /** A counter after which one and two are ヒト and フタ. */
  readonly native: boolean;
}

export const PAUSE = '、';
export const FILLER = 'フィラー';
export const SYMBOL = '記号';
export const NUMBER = '数';
export const COUNTER = '助数詞';
export const ADVERBIAL = '副詞可能';

/** A word that rules put in place of others. */
export function madeWord(
  word: Pick<Word, 'text' | 'start' | 'end' | 'pronunciation' | 'accent' | 'morae'> & Partial<Word>,
): Word {
  return {
    pos: '名詞',
    group1: '*',
    group2: '*',
    group3: '*',
    form: '*',
    rule: '*',
    joins: undefined,
    native: false,
    ...word,
  };
}

/** The words of a dictionary entry: one, or several where it holds several accent phrases. */
export function entryWords(dictionary: Dictionary, entry: number, text: string, start: number): Word[] {
  const context = dictionary.contexts[entry]!;
  const grammar =
    dictionary.grammar[dictionary.grammarExceptions.get(entry) ?? dictionary.grammarOfContext[context] ?? 0]!;
  const rule = dictionary.ruleNames[dictionary.rules[entry]!]!;
  const native = dictionary.nativeCounters.has(entry);
  const compound = dictionary.compounds.get(entry);
  if (compound !== undefined) {
    let at = start;
    return compound.map(([part, pronunciation, accent, morae], i) => ({
      ...grammar,
      text: part,
      start: at,
      end: (at += part.length),
      pronunciation,
      accent,
      morae,
      rule,
      joins: i === 0 ? undefined : false,
      native,
    }));
  }
  const pronunciation = pronunciationOf(dictionary, entry);
  const morae = dictionary.moraExceptions.get(entry) ?? countMorae(pronunciation);
  return [
    {
      ...grammar,
      text,
      start,
      end: start + text.length,
      pronunciation,
      accent: dictionary.accents[entry]!,
      morae,
      rule,
      joins: undefined,
      native,
    },
  ];
}

/** A word that the dictionary does not hold: its sound is up to `pronunciation.ts`. */
export function unknownWord(grammar: Grammar, text: string, start: number): Word {
  return {
    ...grammar,
    text,
    start,
    end: start + text.length,
    pronunciation: '',
    accent: 0,
    morae: 0,
    rule: '*',
    joins: undefined,
    native: false,
  };
}

/** Morae of a pronunciation in katakana. */
export function countMorae(pronunciation: string): number {
  let morae = 0;
  for (const kana of pronunciation) if (!SMALL.includes(kana)) morae++;
  return morae;
}

const SMALL = 'ァィゥェォャュョヮ';
