import { SourceText } from '../source-text.js';
import { expandAbbreviations } from './abbreviations.js';
import { expandDates, expandTimes } from './dates.js';
import { expandMoney } from './money.js';
import { expandNumbers } from './quantities.js';
import { expandInches, expandSigns, unifyCharacters } from './signs.js';
import { expandUnits } from './units.js';
import { expandAddresses } from './web-addresses.js';

/**
 * Spells out an English text: only letters, `'`, `-`, spaces and the marks `, . ? !` remain. Runs of capitals become
 * separate letters ("NASA" is read N A S A), repeated marks become one. Every pattern is bounded, so time is linear in
 * the text. upstream: text/english.py text_normalize, text/en_normalization/expend.py normalize
 */
export function normalizeEnglish(text: string): string {
  return spellEnglish(SourceText.of(text)).text;
}

/** As normalizeEnglish, with the source of each character. */
export function spellEnglish(text: SourceText): SourceText {
  return PASSES.reduce((current, pass) => pass(current), text).trim();
}

/** In order: what is written with digits and signs together must be read before its parts are. */
const PASSES: readonly ((text: SourceText) => SourceText)[] = [
  expandInches,
  unifyCharacters,
  expandAddresses,
  expandDates,
  expandTimes,
  expandAbbreviations,
  expandMoney,
  expandUnits,
  expandNumbers,
  expandSigns,
  stripAccents,
  separateCapitals,
  tidyMarks,
];

const PLAIN_LETTERS: Record<string, string> = {
  ß: 'ss',
  ẞ: 'SS',
  ł: 'l',
  Ł: 'L',
  ø: 'o',
  Ø: 'O',
  æ: 'ae',
  Æ: 'Ae',
  œ: 'oe',
  Œ: 'Oe',
  đ: 'd',
  Đ: 'D',
  ð: 'd',
  Ð: 'D',
  þ: 'th',
  Þ: 'Th',
  ı: 'i',
  ŋ: 'ng',
  ə: 'e',
  ſ: 's',
};

function stripAccents(text: SourceText): SourceText {
  return text
    .replace(/[ßẞłŁøØæÆœŒđĐðÐþÞıŋəſ]/g, (letter) => PLAIN_LETTERS[letter] ?? '')
    .normalize('NFKD')
    .replace(/\p{Mn}/gu, '')
    .replace(/[^ A-Za-z'.,?!-]/g, '');
}

/** "ChatGPT" → "Chat G P T", "GPUs" → "G P U's"; O'Brien and Wi-Fi stay whole. */
function separateCapitals(text: SourceText): SourceText {
  return text.replace(/\b([A-Z]{2,})s\b/g, "$1's").replace(/(?<!^)(?<![\s'-])([A-Z])/g, ' $1');
}

function tidyMarks(text: SourceText): SourceText {
  return text
    .replace(/ {2,}/g, ' ')
    .replace(/ (?=[,.?!])/g, '')
    .replace(/([!?,.-])[!?,.-]+/g, '$1')
    .replace(/ -+(?= |$)|(?<=^| )-+ /g, ' ')
    .replace(/ {2,}/g, ' ');
}
