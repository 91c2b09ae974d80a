import type { SourceText } from '../source-text.js';
import { cardinal, decade, ordinal, plainNumber } from './numbers.js';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const MONTH =
  'Jan(?:uary|\\.)?|Feb(?:ruary|\\.)?|Mar(?:ch|\\.)?|Apr(?:il|\\.)?|May|June?\\.?|July?\\.?|Aug(?:ust|\\.)?|Sept?(?:ember|\\.)?|Oct(?:ober|\\.)?|Nov(?:ember|\\.)?|Dec(?:ember|\\.)?';

const YEAR_FIRST = /(?<![\d./-])((?:1[0-9]|20|21)\d\d)([-/.])(0?[1-9]|1[0-2])\2(0?[1-9]|[12]\d|3[01])(?![\d/-]|\.\d)/g;
const YEAR_LAST = /(?<![\d./-])(\d{1,2})([-/.])(\d{1,2})\2((?:1[0-9]|20|21)\d\d|\d\d)(?![\d/-]|\.\d)/g;
const MONTH_DAY = new RegExp(`\\b(${MONTH}) ([12]\\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?![\\d%:/]|[.,]\\d|[a-z])`, 'g');
const DAY_MONTH = new RegExp(
  `(\\b[Tt]he )?(?<![\\d.,:/$€£-])\\b([12]\\d|3[01]|0?[1-9])(?:st|nd|rd|th)?(?: of)? (${MONTH})(?=[\\s,.;:!?]|$)(?! \\d{1,2}\\b)`,
  'g',
);
const SLASH_DAY =
  /\b(on|by|until|till|since|from|before|after|due|dated) (0?[1-9]|1[0-2])\/(0?[1-9]|[12]\d|3[01])(?![\d/])/gi;
const DECADE = /(?<![\d.,])'?((?:1\d|20|21)\d0)'?s\b/g;
const SHORT_DECADE =
  /(?<![\d.,])(?:'([1-9]0)'?s|(?<=\b(?:the|his|her|their|my|our|early|late|mid)[ -])([2-9]0)'?s)\b/gi;
const SHORT_YEAR = /(?<!\d)'(\d\d)\b(?!')/g;

/**
 * Reads calendar dates and decades: "05/20/2025" (month first, unless the first number cannot be a month), "2025-05-20",
 * "May 20", "20 May", "the 1990s".
 */
export function expandDates(text: SourceText): SourceText {
  if (!/\d/.test(text.text)) return text;
  return text
    .replace(YEAR_FIRST, (_, year: string, _sign, month: string, day: string) => date(month, day, year))
    .replace(YEAR_LAST, (whole, a: string, _sign, b: string, year: string) => {
      const dayFirst = Number(a) > 12;
      const [month, day] = dayFirst ? [b, a] : [a, b];
      return Number(month) < 1 || Number(month) > 12 || Number(day) < 1 || Number(day) > 31
        ? whole
        : date(month, day, year);
    })
    .replace(MONTH_DAY, (_, name: string, day: string) => `${monthName(name)} ${ordinal(day)}`)
    .replace(DAY_MONTH, (_, the: string | undefined, day: string, name: string) => {
      return `${the ?? 'the '}${ordinal(day)} of ${monthName(name)}`;
    })
    .replace(SLASH_DAY, (_, before: string, month: string, day: string) => {
      return `${before} ${MONTHS[Number(month) - 1]} ${ordinal(day)}`;
    })
    .replace(DECADE, (whole, year: string) => decade(year) ?? whole)
    .replace(SHORT_DECADE, (whole, a: string | undefined, b: string | undefined) => decade(a ?? b ?? '') ?? whole)
    .replace(SHORT_YEAR, (_, year: string) => (year.startsWith('0') ? `oh ${cardinal(year)}` : cardinal(year)));
}

const CLOCK = /(?<![\d:.,])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:]|\.\d)(?:\s?([ap])(?:\.\s?m\b\.?|m\b))?/gi;
const DOTTED_CLOCK = /(?<![\d:.,])(1[0-2]|0?[1-9])\.([0-5]\d)(?=\s?[ap]\.?m\b)/gi;
const CLOCK_RANGE = /(\d{1,2}:\d\d(?:\s?[ap]\.?m\.?)?)\s?[-~]\s?(?=\d{1,2}:\d\d)/gi;
const HOUR = /(?<![\d:.,])(1[0-2]|0?[1-9])\s?([ap])(?:\.\s?m\b\.?|m\b)/gi;
const HOUR_RANGE =
  /(?<![\d:.,])((?:1[0-2]|0?[1-9])(?:\s?[ap]\.?m\.?)?)\s?[-~]\s?(?=(?:1[0-2]|0?[1-9])(?::\d\d)?\s?[ap]\.?m\b)/gi;
const HALF_DAY = /(?<![A-Za-z])([ap])\.\s?m\.(?![A-Za-z])/g;

/** Reads clock times: "9:30 a.m." is "nine thirty A M", "13:05" "one oh five P M", "7:00" "seven o'clock". */
export function expandTimes(text: SourceText): SourceText {
  return (/\d/.test(text.text) ? expandClocks(text) : text).replace(
    HALF_DAY,
    (whole, half: string, at: number, all: string) => `${half.toUpperCase()} M${keptStop(whole, all, at)}`,
  );
}

function expandClocks(text: SourceText): SourceText {
  return text
    .replace(DOTTED_CLOCK, '$1:$2')
    .replace(CLOCK_RANGE, '$1 to ')
    .replace(HOUR_RANGE, '$1 to ')
    .replace(
      CLOCK,
      (
        whole,
        hour: string,
        minute: string,
        second: string | undefined,
        half: string | undefined,
        at: number,
        all: string,
      ) => {
        return clock(hour, minute, second, half) + keptStop(whole, all, at);
      },
    )
    .replace(HOUR, (whole, hour: string, half: string, at: number, all: string) => {
      return `${cardinal(hour)} ${half.toUpperCase()} M${keptStop(whole, all, at)}`;
    });
}

function clock(hour: string, minute: string, second: string | undefined, half: string | undefined): string {
  const h = Number(hour);
  const m = Number(minute);
  const minutes = m === 0 ? '' : m < 10 ? ` oh ${cardinal(minute)}` : ` ${cardinal(minute)}`;
  const seconds = second === undefined || Number(second) === 0 ? '' : ` and ${cardinal(second)} seconds`;
  if (h === 24) return m === 0 ? 'midnight' : `twelve${minutes}${seconds} A M`;
  const spoken = cardinal(String(h % 12 === 0 ? 12 : h % 12));
  if (half !== undefined) return `${spoken}${minutes}${seconds} ${half.toUpperCase()} M`;
  // Without a.m. or p.m. only the 24-hour notation says which half of the day is meant.
  if (h > 12 || h === 0 || hour.startsWith('0')) return `${spoken}${minutes}${seconds} ${h < 12 ? 'A' : 'P'} M`;
  return minutes === '' ? `${spoken} o'clock${seconds}` : `${spoken}${minutes}${seconds}`;
}

/** The full stop of "p.m." closes the sentence too when a new sentence or nothing follows. */
function keptStop(match: string, text: string, at: number): string {
  if (!match.endsWith('.')) return '';
  const rest = text.slice(at + match.length, at + match.length + 40);
  return /^\s*$/.test(rest) || /^\s+(?:[A-Z][a-z]|[AI] )(?!on|ue|ed|hu|ri|at|un)/.test(rest) ? '.' : '';
}

function date(month: string, day: string, year: string): string {
  const spoken =
    year.length === 2
      ? year.startsWith('0')
        ? `two thousand ${cardinal(year)}`
        : `twenty ${cardinal(year)}`
      : plainNumber(year);
  return `${MONTHS[Number(month) - 1]} ${ordinal(day)}, ${spoken}`;
}

function monthName(name: string): string {
  return MONTHS.find((month) => month.startsWith(name.slice(0, 3))) ?? name;
}
