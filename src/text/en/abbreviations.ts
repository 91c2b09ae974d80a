import type { SourceText } from '../source-text.js';
import { cardinal, ordinal } from './numbers.js';

/** Titles: before a name the full stop is no pause. */
const TITLES = /\b(Mr|Mrs|Ms|Mx|Dr|Prof|Rev|Gen|Col|Capt|Lt|Sgt|Sen|Rep|Gov|Hon|Messrs|Mme|Mlle)\.(?=\s+[A-Z])/g;
const TITLE_WORDS: Record<string, string> = {
  Dr: 'Doctor',
  Prof: 'Professor',
  Rev: 'Reverend',
  Gen: 'General',
  Col: 'Colonel',
  Capt: 'Captain',
  Lt: 'Lieutenant',
  Sgt: 'Sergeant',
  Sen: 'Senator',
  Rep: 'Representative',
  Gov: 'Governor',
  Hon: 'Honorable',
  Messrs: 'Messers',
  Mme: 'Madame',
  Mlle: 'Mademoiselle',
};

/** Words written short. Those marked `end` may close a sentence, and then keep the full stop. */
const SHORT: readonly { readonly pattern: RegExp; readonly words: string; readonly end?: true }[] = [
  { pattern: /\be\.\s?g\./gi, words: 'for example' },
  { pattern: /\bi\.\s?e\./gi, words: 'that is' },
  { pattern: /\betc\./g, words: 'etc', end: true },
  { pattern: /\bvs?\.(?=\s)/g, words: 'versus' },
  { pattern: /\bapprox\./gi, words: 'approximately' },
  { pattern: /\bincl\./gi, words: 'including' },
  { pattern: /\bexcl\./gi, words: 'excluding' },
  { pattern: /\bavg\./gi, words: 'average' },
  { pattern: /\bmax\.(?=\s)/gi, words: 'maximum', end: true },
  { pattern: /\bmin\.(?=\s[a-z\d])/g, words: 'minimum' },
  { pattern: /\bYoY\b/g, words: 'year over year' },
  { pattern: /\bQoQ\b/g, words: 'quarter over quarter' },
  {
    pattern:
      /(?<=\b(?:order|invoice|ticket|flight|room|item|part|serial|account|case|bus|model|article) )no\.(?=\s?\d)/gi,
    words: 'number',
  },
  { pattern: /\bdept\./gi, words: 'department', end: true },
  { pattern: /\bappt\./gi, words: 'appointment', end: true },
  { pattern: /\bapt\./gi, words: 'apartment' },
  { pattern: /\bInc\./g, words: 'Incorporated', end: true },
  { pattern: /\bLtd\./g, words: 'Limited', end: true },
  { pattern: /\bCo\./g, words: 'Company', end: true },
  { pattern: /\bCorp\./g, words: 'Corporation', end: true },
  { pattern: /\bJr\./g, words: 'Junior', end: true },
  { pattern: /\bSr\./g, words: 'Senior', end: true },
  { pattern: /\bAve\./g, words: 'Avenue', end: true },
  { pattern: /\bBlvd\./g, words: 'Boulevard', end: true },
  { pattern: /(?<=[A-Z][a-z]{2,20} )Dr\.(?!\s+[A-Z])/g, words: 'Drive', end: true },
  { pattern: /\bRd\./g, words: 'Road', end: true },
  { pattern: /\bMt\.(?=\s+[A-Z])/g, words: 'Mount' },
  { pattern: /\bFt\.(?=\s+[A-Z])/g, words: 'Fort' },
  { pattern: /(?<=\d[A-Za-z]? (?:[A-Z][a-z]{1,20} ){1,3})St\.(?=\s+[A-Z])/g, words: 'Street' },
  { pattern: /\bSt\.(?=\s+[A-Z][a-z])/g, words: 'Saint' },
  { pattern: /(?<=[A-Za-z] )St\.(?!\s+[A-Z][a-z])/g, words: 'Street', end: true },
  { pattern: /\b(?:No|Nr|NO)\.(?=\s?\d)/g, words: 'number' },
  {
    pattern: /(?<=^|[,;:(] ?|\b(?:the|is|are|was|at|of|in|and|to|with|by|or|bus|room) )no\.(?=\s?\d)/g,
    words: 'number',
  },
  { pattern: /\bNos\.(?=\s?\d)/gi, words: 'numbers' },
  { pattern: /\bFigs?\.(?=\s?\d)/gi, words: 'figure' },
  { pattern: /\bVol\.(?=\s?\d)/gi, words: 'volume' },
  { pattern: /\bCh\.(?=\s?\d)/g, words: 'chapter' },
  { pattern: /\bSec\.(?=\s?\d)/g, words: 'section' },
  { pattern: /\bEq\.(?=\s?\d)/g, words: 'equation' },
  { pattern: /\bpp\.(?=\s?\d)/g, words: 'pages' },
  { pattern: /\bp\.(?=\s?\d)/g, words: 'page' },
  { pattern: /\bext\.(?=\s?\d)/gi, words: 'extension' },
  { pattern: /\btel\.(?=\s?[:+\d(])/gi, words: 'telephone' },
  { pattern: /\bw\/o\b/g, words: 'without' },
  { pattern: /\bw\/(?=\s)/g, words: 'with' },
  { pattern: /\bc\/o\b/g, words: 'care of' },
  { pattern: /\bn\/a\b/gi, words: 'not applicable' },
  { pattern: /\s{0,9}№\s?/g, words: ' number ' },
  { pattern: /\bC#/g, words: 'C sharp' },
  { pattern: /(?<![\w.])\.NET\b/g, words: 'dot net' },
  { pattern: /(?<![\w-])9-5(?![\w-])/g, words: 'nine to five' },
  { pattern: /\b24\/7\b/g, words: 'twenty-four seven' },
  { pattern: /\b9\/11\b/g, words: 'nine eleven' },
];

const WEEKDAY_RANGE = /\b(Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun)\.?\s?-\s?(Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun)\b(?!day)/g;
const WEEKDAYS = /\b(Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun)\.(?=[\s,])/g;
const WEEKDAY_NAMES: Record<string, string> = {
  Mon: 'Monday',
  Tue: 'Tuesday',
  Wed: 'Wednesday',
  Thu: 'Thursday',
  Fri: 'Friday',
  Sat: 'Saturday',
  Sun: 'Sunday',
};

/** Letters with stops: U.S., L.A., Ph.D., J. R. R. Tolkien */
const INITIALISM = /\b(?:[A-Z]\.){2,12}(?![A-Za-z])/g;
const DEGREE = /\b(?:Ph\.\s?D|M\.\s?D|B\.\s?Sc|M\.\s?Sc|B\.\s?A|M\.\s?A)\.?(?![A-Za-z])/g;
const INITIAL = /\b([A-Z])\.(?=\s+(?:[A-Z]\.|[A-Z][a-z]))/g;

const ROMAN = '(?:X{0,3}(?:IX|IV|V?I{1,3}|V)|X{1,3})';
const COUNTED = new RegExp(
  `\\b(War|Chapter|Part|Volume|Act|Scene|Section|Article|Phase|Type|Class|Grade|Level|Stage|Tier|Appendix|Book|Episode|Season|Title|Mark|Rocky|Bowl) (${ROMAN})\\b`,
  'g',
);
const STAGES = /\b(stage|phase|type|class|grade|level|tier|chapter|part|volume|appendix) (II|III|IV|V|VI{1,3}|IX|X)\b/g;
const RULERS =
  /\b(Henry|Louis|Elizabeth|Charles|George|William|Edward|Richard|James|Philip|Napoleon|Frederick|Francis|Benedict|Pius|Paul|John|Leo|Catherine|Alexander|Nicholas|Victoria|Mary) (II|III|IV|VI{1,3}|IX|X|XI{1,3}|XIV|XV|XVI|XXIII)\b/g;

/**
 * Reads abbreviations: titles without the pause of their full stop, "e.g." as "for example", "U.S." as two letters,
 * "World War II" as "two", "Henry VIII" as "the eighth".
 */
export function expandAbbreviations(text: SourceText): SourceText {
  let current = text.replace(TITLES, (_, title: string) => TITLE_WORDS[title] ?? title);
  for (const { pattern, words, end } of SHORT) {
    current = current.replace(pattern, (...match) => {
      const at = match.at(-2) as number;
      const whole = match.at(-1) as string;
      return end && closesSentence(whole, at + (match[0] as string).length) ? `${words}.` : words;
    });
  }
  return current
    .replace(
      WEEKDAY_RANGE,
      (_, from: string, to: string) => `${WEEKDAY_NAMES[from.slice(0, 3)]} to ${WEEKDAY_NAMES[to.slice(0, 3)]}`,
    )
    .replace(WEEKDAYS, (_, day: string) => WEEKDAY_NAMES[day.slice(0, 3)] ?? day)
    .replace(DEGREE, (degree, at: number, whole: string) => spaced(degree, whole, at))
    .replace(INITIALISM, (letters, at: number, whole: string) => spaced(letters, whole, at))
    .replace(INITIAL, '$1')
    .replace(COUNTED, (_, word: string, numeral: string) => `${word} ${cardinal(String(romanValue(numeral)))}`)
    .replace(STAGES, (_, word: string, numeral: string) => `${word} ${cardinal(String(romanValue(numeral)))}`)
    .replace(RULERS, (_, name: string, numeral: string) => `${name} the ${ordinal(String(romanValue(numeral)))}`);
}

/** Whether the full stop before `at` also ends the sentence: nothing follows, or a new sentence's capital does. */
function closesSentence(text: string, at: number): boolean {
  const rest = text.slice(at, at + 30);
  return /^["')\]]*\s*$/.test(rest) || /^\s+[A-Z][a-z]/.test(rest);
}

function spaced(letters: string, text: string, at: number): string {
  const end = at + letters.length;
  const words = letters.replace(/[.\s]/g, '').toUpperCase().split('').join(' ');
  return letters.endsWith('.') && /^["')\]]*\s*$/.test(text.slice(end, end + 30)) ? `${words}.` : words;
}

function romanValue(numeral: string): number {
  const values: Record<string, number> = { I: 1, V: 5, X: 10 };
  return [...numeral].reduce((total, letter, i) => {
    const value = values[letter] ?? 0;
    return total + (value < (values[numeral[i + 1] ?? ''] ?? 0) ? -value : value);
  }, 0);
}
