import {
  COUNTERS_AFTER,
  type CounterChange,
  DAYS,
  DAYS_LONG,
  FIGURES,
  HUNDREDS_AND_THOUSANDS,
  LARGE_PLACES,
  MULTIPLIERS,
  NATIVE_COUNTERS,
  NATIVE_NUMERALS,
  NUMERALS_BEFORE,
  NUMERALS_BEFORE_PLACE,
  type NumeralSound,
  PEOPLE,
  PLACES,
  SMALL_PLACES,
  VALUES,
  VOICED,
  WITH_P,
} from './numeral-tables.js';
import { ADVERBIAL, COUNTER, madeWord, NUMBER, SYMBOL, type Word } from './words.js';

/**
 * Reads runs of figures as numbers or one by one, and gives numerals and counters the sound they have together:
 * 三百 [サンビャク], 八分 [ハップン], 二十日 [ハツカ]. `isSpelt` says of a figure by its place that it is part of a
 * telephone number or the like.
 * upstream: Open JTalk, njd_set_digit
 */
export function readNumerals(words: readonly Word[], isSpelt: (start: number) => boolean): Word[] {
  if (!words.some((word) => word.group1 === NUMBER)) return [...words];
  let read = spoken(figureRuns(words, isSpelt));
  decimalPoints(read);
  beforeCounters(read);
  insideNumbers(read);
  countedWords(read);
  read = spoken(read);
  longDays(read);
  return spoken(read);
}

const spoken = (words: readonly Word[]): Word[] => words.filter((word) => word.pronunciation !== '');
const isPoint = (word: Word | undefined): boolean => word?.text === '．' || word?.text === '・';
const isComma = (word: Word | undefined): boolean => word?.text === '，';
const isCounter = (word: Word | undefined): boolean => word?.group2 === COUNTER || word?.group1 === ADVERBIAL;
const isNumber = (word: Word | undefined): boolean => word?.group1 === NUMBER;

function figureRuns(words: readonly Word[], isSpelt: (start: number) => boolean): Word[] {
  const out: Word[] = [];
  for (let at = 0; at < words.length; ) {
    let to = at;
    while (to < words.length && isFigureOrMark(words[to]!)) to++;
    if (to === at) out.push(words[at++]!);
    else {
      const run = words.slice(at, to);
      const spelt = isSpelt(run[0]!.start);
      out.push(
        ...(spelt ? oneByOne(run) : readRun(run, words.slice(Math.max(0, at - 2), at), words.slice(to, to + 2))),
      );
      at = to;
    }
  }
  return out;
}

/** A figure, which is then written as a numeral, or a mark of a number. */
function isFigureOrMark(word: Word): boolean {
  if (!isNumber(word)) return false;
  const figure = FIGURES.get(word.text);
  if (figure !== undefined) word.text = figure;
  return figure !== undefined || isPoint(word) || isComma(word);
}

/** One run of figures and marks, with up to two words before and behind it. */
function readRun(run: Word[], before: readonly Word[], after: readonly Word[]): Word[] {
  const first = run[0];
  if (first === undefined) return [];
  if (isComma(first) || isPoint(first)) return [first, ...readRun(run.slice(1), [...before, first].slice(-2), after)];
  let whole = run.findIndex(isPoint);
  if (whole === -1) whole = run.length;
  while (whole > 1 && isComma(run[whole - 1])) whole--;
  const integer = run.slice(0, whole);
  const commas = integer.filter(isComma).length;
  const grouped = commas > 0 && integer.every((word, i) => isComma(word) === ((integer.length - 1 - i) % 4 === 3));
  const ordinal = whole > 1 && VALUES[first.text] === 0; // 007 is no number
  if (grouped && !ordinal) {
    const digits = integer.filter((word) => !isComma(word));
    const number = asNumber(digits);
    return [...number, ...readRun(run.slice(whole), lastTwo(before, digits), after)];
  }
  const comma = integer.findIndex(isComma);
  const end = comma === -1 ? whole : comma;
  const digits = run.slice(0, end);
  const rest = run.slice(end);
  const score = ordinal ? -1 : numberScore(before, [...rest, ...after]);
  const read = score >= 0 ? asNumber(digits) : oneByOne(digits);
  return [...read, ...readRun(rest, lastTwo(before, digits), after)];
}

const lastTwo = (before: readonly Word[], digits: readonly Word[]): Word[] => [...before, ...digits].slice(-2);

const DASHES = '―−‐—－';

/** At least 0 where the words around a run of figures make it a number. */
function numberScore(before: readonly Word[], after: readonly Word[]): number {
  const previous = before.at(-1);
  const next = after[0];
  let score = 0;
  if (previous !== undefined) {
    if (previous.group1 === '数接続') score += 2;
    if (isCounter(previous)) score += 1;
    if (isPoint(previous)) score -= isNumber(before.at(-2)) ? 5 : 0;
    else if (DASHES.includes(previous.text) || previous.text === '）' || previous.text === '番号') score -= 2;
    else if (previous.text === '（') score -= isNumber(before.at(-2)) ? 2 : 0;
    if (before.at(-2)?.text === '番号') score -= 2;
  }
  if (next !== undefined) {
    if (isCounter(next)) score += 2;
    if (DASHES.includes(next.text) || next.text === '（' || next.text === '番号') score -= 2;
    else if (next.text === '）') score -= isNumber(after[1]) ? 2 : 0;
    else if (isPoint(next)) score += 4;
  }
  return score;
}

/** Figures with their places: 1985 is 千九百八十五. Longer than the names of places go, they stay as they are. */
function asNumber(digits: readonly Word[]): Word[] {
  const size = digits.length;
  if (size <= 1 || Math.ceil(size / 4) > LARGE_PLACES.length) return [...digits];
  const out: Word[] = [];
  let spokenInGroup = false;
  digits.forEach((word, i) => {
    const place = (size - 1 - i) % 4;
    const group = Math.floor((size - 1 - i) / 4);
    const value = VALUES[word.text] ?? 0;
    if (place === 0) {
      if (value !== 0) {
        out.push(word);
        spokenInGroup = true;
      }
      if (spokenInGroup && group > 0) out.push(placeWord(LARGE_PLACES[group]!, word));
      spokenInGroup = false;
    } else if (value > 0) {
      if (value > 1) out.push(word);
      out.push(placeWord(SMALL_PLACES[place]!, word));
      spokenInGroup = true;
    }
  });
  return out;
}

function placeWord(
  [text, pronunciation, accent, morae]: readonly [string, ...NumeralSound],
  { start, end }: Word,
): Word {
  return madeWord({ text, start, end, pronunciation, accent, morae, group1: NUMBER, rule: text === '兆' ? 'C3' : '*' });
}

/** Figures one by one, in pairs of one accent. */
function oneByOne(digits: readonly Word[]): Word[] {
  if (digits.length <= 1) return [...digits];
  digits.forEach((word, i) => {
    const long = { 〇: 'ゼロ', '０': 'ゼロ', 二: 'ニー', 五: 'ゴー' }[word.text];
    if (long !== undefined) {
      word.pronunciation = long;
      word.morae = 2;
    }
    word.rule = '*';
    word.joins = i % 2 === 1;
    if (word.joins) digits[i - 1]!.accent = 3;
  });
  return [...digits];
}

/** The point of a decimal, and the figure before it, which is long: 2.5 [ニーテンゴ]. */
function decimalPoints(words: Word[]): void {
  for (let i = 1; i + 1 < words.length; i++) {
    const word = words[i]!;
    const previous = words[i - 1]!;
    if (!isPoint(word) || !isNumber(previous) || !isNumber(words[i + 1])) continue;
    words[i] = madeWord({
      text: '．',
      start: word.start,
      end: word.end,
      pronunciation: 'テン',
      accent: 0,
      morae: 2,
      group1: '接尾',
      group2: COUNTER,
      joins: true,
    });
    const long = { 〇: 'レー', '０': 'レー', 二: 'ニー', 五: 'ゴー' }[previous.text];
    if (long !== undefined) {
      previous.pronunciation = long;
      previous.morae = 2;
    } else if (previous.text === '六') previous.accent = 1;
    i++;
    while (words[i] !== undefined && words[i]!.pos === '名詞') i++;
  }
}

function beforeCounters(words: readonly Word[]): void {
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!;
    const numeral = words[i - 1]!;
    if (!isNumber(numeral) || !isCounter(word)) continue;
    const sounds = NUMERALS_BEFORE.find(([counters]) => counters.has(word.text))?.[1];
    if (sounds !== undefined) soundNumeral(numeral, sounds);
    const change = COUNTERS_AFTER.find(({ counters }) => counters.has(word.text));
    if (change !== undefined) changeCounter(numeral, word, change);
    numeral.joins = false;
    word.joins = true;
  }
}

function soundNumeral(word: Word, sounds: Readonly<Record<string, NumeralSound>>): void {
  const sound = sounds[word.text];
  if (sound !== undefined) [word.pronunciation, word.accent, word.morae] = sound;
}

function changeCounter(numeral: Word, counter: Word, change: CounterChange): void {
  const table = change.p.includes(numeral.text) ? WITH_P : change.voiced.includes(numeral.text) ? VOICED : {};
  const first = table[counter.pronunciation.charAt(0)];
  if (first !== undefined) counter.pronunciation = first + counter.pronunciation.slice(1);
}

/** Accent phrases inside a number (二千|十五), and the sound changes of 百, 千 and 兆. */
function insideNumbers(words: readonly Word[]): void {
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!;
    const previous = words[i - 1]!;
    if (!isNumber(previous)) continue;
    if (isNumber(word)) {
      if (MULTIPLIERS.has(previous.text)) {
        if (PLACES.has(word.text)) {
          previous.joins = false;
          word.joins = true;
        }
      } else if (PLACES.has(previous.text) && MULTIPLIERS.has(word.text)) word.joins = false;
    }
    for (const [places, sounds] of NUMERALS_BEFORE_PLACE) if (places.has(word.text)) soundNumeral(previous, sounds);
    if (HUNDREDS_AND_THOUSANDS.counters.has(word.text)) changeCounter(previous, word, HUNDREDS_AND_THOUSANDS);
  }
}

/** Native numerals, people and days: 一桁 [ヒトケタ], 二人 [フタリ], 三日 [ミッカ]. */
function countedWords(words: readonly Word[]): void {
  for (let i = 0; i + 1 < words.length; i++) {
    const word = words[i]!;
    const counter = words[i + 1]!;
    const previous = words[i - 1];
    if (!isNumber(word) || !isCounter(counter)) continue;
    if (previous !== undefined && previous.pos !== SYMBOL && isNumber(previous)) continue;
    if (NATIVE_COUNTERS.has(counter.text) && counter.native) soundNumeral(word, NATIVE_NUMERALS);
    if (counter.text === '人') becomeOne(word, counter, PEOPLE[word.text]);
    else if (counter.text === '日') {
      const first = word.text === '一' && (previous?.text.includes('月') ?? false);
      becomeOne(word, counter, first ? ['ツイタチ', 4, 4] : DAYS[word.text]);
    } else if (counter.text === '日間') becomeOne(word, counter, DAYS_LONG[word.text]);
  }
}

/** A numeral and its counter as one word. */
function becomeOne(word: Word, counter: Word, sound: NumeralSound | undefined): void {
  if (sound === undefined) return;
  become(word, word.text + counter.text, sound, [counter]);
}

/** Makes a word another one, which the words behind it are part of. */
function become(
  word: Word,
  text: string,
  [pronunciation, accent, morae]: NumeralSound,
  parts: readonly Word[],
  joins = word.joins,
): void {
  const end = parts.at(-1)?.end ?? word.end;
  Object.assign(
    word,
    madeWord({ text, start: word.start, end, pronunciation, accent, morae, group1: ADVERBIAL, joins }),
  );
  for (const part of parts) part.pronunciation = '';
}

/** 十四日, 二十日, 二十四日, and the same with 間. */
function longDays(words: readonly Word[]): void {
  words.forEach((word, i) => {
    if (isNumber(words[i - 1])) return;
    const texts = words.slice(i + 1, i + 4).map(({ text }) => text);
    const days = (at: number): string | undefined =>
      texts[at] === '日' ? '' : texts[at] === '日間' ? 'カン' : undefined;
    if (word.text === '十' && texts[0] === '四' && days(1) !== undefined) {
      const sound: NumeralSound = days(1) === '' ? ['ジューヨッカ', 1, 5] : ['ジューヨッカカン', 5, 7];
      become(word, `十四${texts[1]}`, sound, words.slice(i + 1, i + 3));
    } else if (word.text === '二' && texts[0] === '十' && days(1) !== undefined) {
      const sound: NumeralSound = days(1) === '' ? ['ハツカ', 0, 3] : ['ハツカカン', 3, 5];
      become(word, `二十${texts[1]}`, sound, words.slice(i + 1, i + 3));
    } else if (word.text === '二' && texts[0] === '十' && texts[1] === '四' && days(2) !== undefined) {
      const sound: NumeralSound = days(2) === '' ? ['ヨッカ', 0, 3] : ['ヨッカカン', 3, 5];
      become(word, '二十', ['ニジュー', 1, 3], []);
      become(words[i + 1]!, `四${texts[2]}`, sound, words.slice(i + 2, i + 4), false);
    }
  });
}
