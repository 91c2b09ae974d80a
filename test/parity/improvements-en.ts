import { isHomograph } from '../../src/text/en/homographs.js';
import { englishLexicon } from '../../src/text/en/lexicon.js';

/** What a row of en.v1.jsonl or en.v2.jsonl tells besides its text; all optional in other folders. */
export interface EnglishRow {
  readonly text: string;
  readonly oov_routes?: readonly (readonly [word: string, route: string])[];
}

/**
 * Why an English sentence is read otherwise than upstream on purpose, or null when the two must agree. Judged from the
 * text (and upstream's own note of how it resolved unknown words), never from our answer.
 */
export function englishImprovement(row: EnglishRow): string | null {
  for (const [pattern, reason] of REASONS) if (pattern.test(row.text)) return reason;
  return unknownWord(row);
}

/** Words of the text that have two readings by part of speech: the English counterpart of polyphones. */
export function englishHomographs(text: string): string[] {
  return (text.toLowerCase().match(/[a-z]+/g) ?? []).filter((word) => word.length > 1 && isHomograph(word));
}

const MONTH = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\\.?';
/** Units that upstream reads, right behind the number. */
const READ_UNITS = 'm|km|ft|L|tbsp|tsp|h|min|s|°C|°F';

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/[’‘]/, 'curly apostrophe'],
  [/\d{1,2}:\d\d|\b\d{1,2} ?[ap]\.?m\b|\b[ap]\.m\./i, 'time of day'],
  [/\d:\d/, 'ratio'],
  [/[;:；：]/, 'pause of a semicolon or colon'],
  [/[，、]/, 'full-width comma'],
  [/[（）％～＆＃＠]/, 'full-width sign'],
  [/…|—|–|--| - (?!\d)/, 'ellipsis or dash'],
  [/\S@\S|https?:|www\.|[A-Za-z]\.(?:com|net|org|io|cn|js|ts|py)\b/, 'address or file name'],
  [/[&#@*~^_|<>±≈≥≤²³½¼¾μΩα-ω]/, 'sign that was dropped'],
  [/[\da-z²] ?[+×÷=] ?[\da-z]|\d-\d+\s?=/, 'sum'],
  [/\d\.\d+\.\d|\bv\d/, 'version number'],
  [/\d\+|=/, 'sign that was dropped'],
  [/\d,(?!\d{3}(?!\d))\d/, 'list of numbers without spaces'],
  [/(?:^|[\s(])\.[a-z]/, 'address or file name'],
  [/["(][.,?!;:/][")]/, 'mark in quotes'],
  [/[a-z]\/[a-z]/, 'slash between words'],
  [/\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}/, 'date in digits, or version'],
  [new RegExp(`${MONTH} \\d{1,2}(?!\\d|st|nd|rd|th)|\\b\\d{1,2} ${MONTH}\\b`), 'day of a month'],
  [/\d0'?s\b/, 'decade'],
  [/'\d\d\b/, 'short year'],
  [/[€¥￥₩₹₽₺₫฿₱¢]|[A-Z]{1,2}\$|\b(?:USD|EUR|GBP|CNY|RMB|JPY|HKD|KRW)\b/, 'currency'],
  [/[$£]\s?[\d.,]+\s?(?:thousand|million|billion|trillion|[kKmMbB]n?\b)/, 'money with a multiplier'],
  [/[$£]?\b[12],\d{3}\b(?!,)/, 'thousands separator read as a year'],
  [/[$£][\d,]*\.\d{3}|[$£]\d+\s?-/, 'money with odd digits'],
  [
    new RegExp(
      `\\d\\s?(?!(?:${READ_UNITS})(?![A-Za-z/]))(?:k?m/h|[kcm]m|[kmµμ]?g|lbs?|oz|m?l|mL|mph|kph|[kMGT]B|KB|[kMG]?Hz|k?Wh?|k?V|mA?h?|fps|rpm|[GMk]bps|ms|ha|mi|hrs?|secs?|mins|dB|°|℃|℉)(?![A-Za-z])`,
    ),
    'unit',
  ],
  [new RegExp(`\\d (?:${READ_UNITS})(?![A-Za-z'.])`), 'unit behind a space'],
  [/(?:^|[\s(])-\.?\d|−\d/, 'negative number'],
  [/(?:^|\s)\.\d/, 'decimal without a whole part'],
  [/\d[ -]\d{3,}[ -]\d{3,}|\b\d{3}-\d{4}\b|\+\d{2,}|\(\d{3}\)/, 'phone number'],
  [
    /\b(?:code|pin|number|zip|otp|password)\b[^.!?]{0,16}\d{3,}|\b(?:dial|call)(?:led|ed|l?ing)? \d{3,8}(?!\d|,\d)/i,
    'number read digit by digit',
  ],
  [/(?<![\d.,])0\d|\d{11,}/, 'digits'],
  [/\d\s?-\s?\d/, 'range'],
  [/\b(\d{2,})\/\1\b|\b24\/7\b|\b9\/11\b|\b\d+x\d*\b/, 'fixed expression of numbers'],
  [/(?<!^)(?<![.!?] )\b\d{1,3}\. [A-Z]/, 'full stop behind a number'],
  [
    /\b(?:Mr|Mrs|Ms|Dr|Prof|St|Mt|Gen|Capt|Lt|Sgt|Col|Sen|Gov|Rev|Jr|Sr|Inc|Ltd|Co|Corp|No|vs?|etc|approx|dept|Ave|Blvd|Rd|Fig|Vol|pp?)\./,
    'full stop of an abbreviation',
  ],
  [/\b(?:[A-Z]\.){2,}|Ph\.D|\b[A-Z]\. [A-Z]/, 'full stop of an abbreviation'],
  [/\b[A-Z]{2,}s\b/, 'plural of letters'],
  [/\b[A-Z][a-z]+ (?:[IVX]{2,}|V|X)\b/, 'Roman numeral'],
  [/[A-Za-z]'[A-Z]/, "name with an apostrophe (O'Brien)"],
  [/[A-Za-z]-[A-Z]/, 'hyphen before a capital'],
  [/\b[rd]e-[a-z]/i, 'prefix re or de'],
  [/[^\P{L}\p{Script=Latin}]/u, 'letters of another script'],
  [/[ßłŁøØæÆœŒđðþı]/, 'letter without an accent to strip'],
  [/ [,.?!]/, 'mark behind a space'],
  [/[\n\t]/, 'line break'],
];

/**
 * A word for which upstream used its neural model, or its word counts where no plain split into everyday words exists.
 * Without upstream's note every word was in its dictionary.
 */
function unknownWord(row: EnglishRow): string | null {
  for (const [word, route] of row.oov_routes ?? []) {
    if (route === 'predict') return 'word outside the dictionary (letter-to-sound)';
    if (route.startsWith('segment:') && !isNaturalSplit(word, route.slice('segment:'.length).split('+'))) {
      return 'word outside the dictionary (word counts)';
    }
  }
  return null;
}

/** Parts of a hyphenated word, or two known everyday words: what any reading must agree on. */
function isNaturalSplit(word: string, parts: readonly string[]): boolean {
  const pieces = word.toLowerCase().split('-');
  const aligned =
    pieces.length > 1 ? pieces.join('+') === parts.join('+') : parts.length <= 2 && pieces[0] === parts.join('');
  const digits = parts.some((part) => NUMBER_WORD.test(part));
  return aligned && parts.every((part) => isEveryday(part, pieces.length > 1 || digits));
}

const NUMBER_WORD =
  /^(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)$/;

/** Parts of one or two letters come from hyphens or digits ("B12"); else they are where word counts go astray. */
function isEveryday(part: string, short: boolean): boolean {
  if (part.length < 3) return short;
  return (englishLexicon().commonness(part) ?? 9) <= 6;
}

/** Words of a text that the lexicon lacks, for data that has no note of them. */
export function hasUnknownWord(text: string): boolean {
  return (text.match(/[A-Za-z]+/g) ?? [])
    .flatMap((word) => word.split(/(?=[A-Z])/))
    .some((word) => {
      const plain = word.toLowerCase();
      return (
        plain.length > 3 && englishLexicon().word(plain) === undefined && englishLexicon().name(plain) === undefined
      );
    });
}
