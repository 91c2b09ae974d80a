import { NUMBER, type Word } from './words.js';

/**
 * Gives each accent phrase, in its first word, the mora after which the pitch falls: every word that joins changes it by
 * its rule (Sagisaka and Satoh 1983: F for particles and auxiliaries, C for nouns, P after prefixes), numerals by their own.
 * upstream: Open JTalk, njd_set_accent_type
 */
export function chainAccents(words: readonly Word[]): void {
  let top: Word | undefined;
  let morae = 0;
  words.forEach((word, i) => {
    const before = words[i - 1];
    const after = words[i + 1];
    if (before === undefined || top === undefined || word.joins !== true) {
      top = word;
      morae = 0;
    } else {
      const [rule, shift] = ruleAfter(word.rule, before.pos);
      top.accent = Math.max(0, changedAccent(rule, shift, top.accent, word.accent, morae));
      if (before.group1 === NUMBER && word.group1 === NUMBER) numeralAccent(before, word, after);
    }
    if (word.text === '十' && word.joins !== true && after?.group1 === NUMBER) word.accent = 0;
    morae += word.morae;
  });
}

/** `accent` of the phrase so far, of `morae` morae, once a word with `own` accent has joined it. */
function changedAccent(rule: string, shift: number, accent: number, own: number, morae: number): number {
  switch (rule) {
    case 'F2':
      return accent === 0 ? morae + shift : accent;
    case 'F3':
      return accent === 0 ? 0 : morae + shift;
    case 'F4':
      return morae + shift;
    case 'C1':
      return morae + own;
    case 'C2':
      return morae + 1;
    case 'C3':
      return morae;
    case 'F5':
    case 'C4':
    case 'P6':
      return 0;
    case 'P1':
      return own === 0 ? 0 : morae + own;
    case 'P2':
      return own === 0 ? morae + 1 : morae + own;
    case 'P14':
      return own === 0 ? accent : morae + own;
    default:
      return accent;
  }
}

const parsed = new Map<string, readonly [string, number]>();

/**
 * The rule of a word after a part of speech. `動詞%F2@0/形容詞%F1`: after verbs F2 shifted by 0, after adjectives F1,
 * else none. Auxiliary verbs (助動詞) count as verbs (動詞), as in Open JTalk.
 */
function ruleAfter(rules: string, pos: string): readonly [string, number] {
  const key = `${rules} ${pos}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  let found: readonly [string, number] = ['*', 0];
  for (const alternative of rules.split('/')) {
    const [condition, rule] = alternative.includes('%') ? alternative.split('%') : [undefined, alternative];
    if (condition !== undefined && !pos.includes(condition)) continue;
    const [name = '*', shift = '0'] = (rule ?? '*').split('@');
    found = [name, Number.parseInt(shift, 10) || 0];
    break;
  }
  parsed.set(key, found);
  return found;
}

/** 三十, 五百, 二千, 四万, 七億: the numeral before a place. */
function numeralAccent(numeral: Word, place: Word, after: Word | undefined): void {
  const is = (numerals: string): boolean => numerals.includes(numeral.text);
  switch (place.text) {
    case '十':
      numeral.accent = is('五六八') && after !== undefined && '一二三四五六七八九'.includes(after.text) ? 0 : 1;
      return;
    case '百':
      numeral.accent = is('七') ? 2 : is('三四九何') ? 1 : numeral.morae + place.morae;
      return;
    case '千':
    case '万':
      numeral.accent = numeral.morae + 1;
      return;
    case '億':
      numeral.accent = is('一六七八幾') ? 2 : 1;
      return;
    case '兆':
      numeral.accent = is('六七') ? 2 : 1;
      return;
    default:
  }
}
