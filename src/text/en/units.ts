import type { SourceText } from '../source-text.js';
import { fraction } from './numbers.js';
import { AMOUNT, readAmount } from './quantities.js';

/** Units by sign: one, and several when not just with an s. `tight` ones are read only right behind the number. */
const UNITS: Record<string, { readonly one: string; readonly many?: string; readonly tight?: true }> = {
  m: { one: 'meter' },
  km: { one: 'kilometer' },
  cm: { one: 'centimeter' },
  mm: { one: 'millimeter' },
  nm: { one: 'nanometer' },
  μm: { one: 'micrometer' },
  'm²': { one: 'square meter' },
  'km²': { one: 'square kilometer' },
  'cm²': { one: 'square centimeter' },
  'm³': { one: 'cubic meter' },
  'cm³': { one: 'cubic centimeter' },
  'ft²': { one: 'square foot', many: 'square feet' },
  sqm: { one: 'square meter' },
  sqft: { one: 'square foot', many: 'square feet' },
  ha: { one: 'hectare' },
  ft: { one: 'foot', many: 'feet' },
  yd: { one: 'yard' },
  mi: { one: 'mile' },
  'sq ft': { one: 'square foot', many: 'square feet' },
  'sq m': { one: 'square meter' },
  'sq mi': { one: 'square mile' },
  mmHg: { one: 'millimeter of mercury', many: 'millimeters of mercury' },
  'mmol/L': { one: 'millimole per liter', many: 'millimoles per liter' },
  mmol: { one: 'millimole' },
  MP: { one: 'megapixel' },
  yr: { one: 'year' },
  yrs: { one: 'year' },
  'y/o': { one: 'year old', many: 'year old' },
  g: { one: 'gram' },
  kg: { one: 'kilogram' },
  mg: { one: 'milligram' },
  μg: { one: 'microgram' },
  mcg: { one: 'microgram' },
  lb: { one: 'pound' },
  lbs: { one: 'pound' },
  oz: { one: 'ounce' },
  L: { one: 'liter' },
  l: { one: 'liter', tight: true },
  mL: { one: 'milliliter' },
  ml: { one: 'milliliter' },
  gal: { one: 'gallon' },
  tbsp: { one: 'tablespoon' },
  tsp: { one: 'teaspoon' },
  h: { one: 'hour', tight: true },
  hr: { one: 'hour' },
  hrs: { one: 'hour' },
  min: { one: 'minute' },
  mins: { one: 'minute' },
  s: { one: 'second', tight: true },
  sec: { one: 'second' },
  secs: { one: 'second' },
  ms: { one: 'millisecond' },
  μs: { one: 'microsecond' },
  ns: { one: 'nanosecond' },
  'km/h': { one: 'kilometer per hour', many: 'kilometers per hour' },
  kmh: { one: 'kilometer per hour', many: 'kilometers per hour' },
  kph: { one: 'kilometer per hour', many: 'kilometers per hour' },
  mph: { one: 'mile per hour', many: 'miles per hour' },
  'm/s': { one: 'meter per second', many: 'meters per second' },
  rpm: { one: 'R P M', many: 'R P M' },
  fps: { one: 'frame per second', many: 'frames per second' },
  bpm: { one: 'beat per minute', many: 'beats per minute' },
  bps: { one: 'bit per second', many: 'bits per second' },
  kbps: { one: 'kilobit per second', many: 'kilobits per second' },
  Kbps: { one: 'kilobit per second', many: 'kilobits per second' },
  Mbps: { one: 'megabit per second', many: 'megabits per second' },
  Gbps: { one: 'gigabit per second', many: 'gigabits per second' },
  'MB/s': { one: 'megabyte per second', many: 'megabytes per second' },
  'GB/s': { one: 'gigabyte per second', many: 'gigabytes per second' },
  KB: { one: 'kilobyte' },
  kB: { one: 'kilobyte' },
  MB: { one: 'megabyte' },
  GB: { one: 'gigabyte' },
  TB: { one: 'terabyte' },
  PB: { one: 'petabyte' },
  KiB: { one: 'kibibyte' },
  MiB: { one: 'mebibyte' },
  GiB: { one: 'gibibyte' },
  Hz: { one: 'hertz', many: 'hertz' },
  kHz: { one: 'kilohertz', many: 'kilohertz' },
  MHz: { one: 'megahertz', many: 'megahertz' },
  GHz: { one: 'gigahertz', many: 'gigahertz' },
  V: { one: 'volt' },
  kV: { one: 'kilovolt' },
  mV: { one: 'millivolt' },
  W: { one: 'watt' },
  kW: { one: 'kilowatt' },
  MW: { one: 'megawatt' },
  GW: { one: 'gigawatt' },
  kWh: { one: 'kilowatt hour' },
  A: { one: 'amp', tight: true },
  mA: { one: 'milliamp' },
  mAh: { one: 'milliamp hour' },
  Ω: { one: 'ohm' },
  J: { one: 'joule', tight: true },
  kJ: { one: 'kilojoule' },
  cal: { one: 'calorie' },
  kcal: { one: 'kilocalorie' },
  Pa: { one: 'pascal' },
  kPa: { one: 'kilopascal' },
  MPa: { one: 'megapascal' },
  psi: { one: 'P S I', many: 'P S I' },
  dB: { one: 'decibel' },
  px: { one: 'pixel' },
  pt: { one: 'point' },
  mol: { one: 'mole' },
  '°C': { one: 'degree celsius', many: 'degrees celsius' },
  '°F': { one: 'degree fahrenheit', many: 'degrees fahrenheit' },
  '℃': { one: 'degree celsius', many: 'degrees celsius' },
  '℉': { one: 'degree fahrenheit', many: 'degrees fahrenheit' },
  '°': { one: 'degree' },
};

/** In what deals with rates; elsewhere bps are bits. */
const BASIS_POINTS =
  /(?<=\b(?:rates?|yields?|spreads?|margins?|Fed|hike[ds]?|cut|raised|coupon|fee)\b[^.!?]{0,60}\d )bps\b/g;
/** The full stop of a unit written short, where the sentence goes on. */
const UNIT_STOP = /(?<=\d[ -]?(?:lbs?|oz|hrs?|mins?|secs?|ft|tbsp|tsp|mi|yrs?|gal|sq ft|sq mi))\.(?=,| [a-z\d(])/g;
const SQUARE = /(?<=[\d/] ?)sq\. ?(?=(?:ft|mi|m)\b)/g;
const PRESSURE =
  /(?<![\d./])(\d{2,3})\/(\d{2,3})(?= ?mmHg)|(?<=\b(?:BP|blood pressure)(?: (?:is|was|of|at|reading))?:? )(\d{2,3})\/(\d{2,3})(?![\d/])/g;

const NAMES = Object.keys(UNITS).sort((a, b) => b.length - a.length);
const UNIT = NAMES.map((unit) => unit.replace(/[/]/g, '\\/')).join('|');
const PER =
  'day|week|month|year|hour|minute|second|person|user|seat|unit|item|piece|night|kg|km|m|L|h|s|min|g|mL|ml|dL';

const FRACTION_OF_UNIT = new RegExp(
  `(?<![\\d./])(?:(\\d{1,3})(?: and)? )?(\\d{1,2})\\/(\\d{1,2})[ -]?(${UNIT})(?![\\p{L}\\d/])`,
  'gu',
);
const MEASURE = new RegExp(
  `(?<![\\w.])(?<neg>(?<![\\w)])-)?(?<amount>${AMOUNT})(?<gap>[ -]?)(?<unit>${UNIT})(?:\\/(?<per>${PER}))?(?![\\p{L}\\d/]|[-'][A-Za-z])`,
  'gu',
);
const RANGE = new RegExp(
  `(?<![\\w.,-])(${AMOUNT})\\s?(?:${UNIT})?\\s?[-~]\\s?(?=(${AMOUNT})\\s?(?:${UNIT})(?![\\p{L}\\d]))`,
  'gu',
);
const PER_WORD = new RegExp(`(?<=[a-z])\\/(${PER}|hr|mo|yr|wk|sq ?ft|lb)\\b`, 'g');
const PER_NAMES: Record<string, string> = {
  dL: 'deciliter',
  hr: 'hour',
  mo: 'month',
  yr: 'year',
  wk: 'week',
  sqft: 'square foot',
  'sq ft': 'square foot',
  lb: 'pound',
};

/** Reads measures: "12kg" is "twelve kilograms", "120 km/h" "… kilometers per hour", "20-25°C" "twenty to …". */
export function expandUnits(text: SourceText): SourceText {
  const plain = text.normalize('NFC').replace(/µ/g, 'μ');
  return (/\d/.test(plain.text) ? expandMeasures(plain) : plain).replace(
    PER_WORD,
    (_, per: string) => ` per ${PER_NAMES[per] ?? per}`,
  );
}

function expandMeasures(text: SourceText): SourceText {
  return text
    .replace(
      HOURS_AND_MINUTES,
      (_, hours: string, minutes: string) => `${timeOf(hours, 'hour')} ${timeOf(minutes, 'minute')}`,
    )
    .replace(/(?<=\d ?[kcm]?m|\d ?ft)\^?([23])(?![\w.])/g, (_, power: string) => (power === '2' ? '²' : '³'))
    .replace(BASIS_POINTS, 'basis points')
    .replace(SQUARE, 'sq ')
    .replace(UNIT_STOP, '')
    .replace(PRESSURE, (_, upper?: string, lower?: string, upper2?: string, lower2?: string) => {
      // the lower number stays for its unit
      return upper === undefined
        ? `${readAmount(upper2 ?? '')} over ${readAmount(lower2 ?? '')}`
        : `${readAmount(upper)} over ${lower}`;
    })
    .replace(FRACTION_OF_UNIT, (whole, units: string | undefined, top: string, below: string, unit: string) => {
      const names = UNITS[unit];
      if (names === undefined || Number(below) < 2) return whole as string;
      const part = fraction(top, below);
      return units === undefined
        ? `${part} ${names.one}`
        : `${readAmount(units)} and ${part} ${names.many ?? `${names.one}s`}`;
    })
    .replace(RANGE, (_, low: string) => `${readAmount(low)} to `)
    .replace(MEASURE, (...match) => {
      const { neg, amount = '', gap = '', unit = '', per } = match.at(-1) as Record<string, string | undefined>;
      const names = UNITS[unit];
      if (names === undefined || (gap !== '' && names.tight)) return match[0] as string;
      // "1996 L. Smith": a year and an initial.
      if (gap === ' ' && /^[A-Z]$/.test(unit) && /^(?:19|20)\d\d$/.test(amount)) return match[0] as string;
      // "a 5-m pole", but not "12-A" or "3-D"
      if (gap === '-' && unit.length === 1 && unit !== 'm' && unit !== 'g') return match[0] as string;
      const at = match.at(-3) as number;
      const all = match.at(-2) as string;
      const behind = all.slice(at + (match[0] as string).length);
      // "a 5 mm cut", but "a 30-40 kg" and "half a 5 kg" end so as well: a noun must follow
      const qualifies = /\b[Aa]n? $/.test(all.slice(Math.max(0, at - 4), at)) && /^ [A-Za-z]/.test(behind);
      const single = amount === '1' || gap === '-' || qualifies;
      const name = single ? names.one : (names.many ?? `${names.one}s`);
      return `${neg === undefined ? '' : 'negative '}${readAmount(amount)} ${name}${per === undefined ? '' : ` per ${perName(per)}`}`;
    });
}

/** 2h 15m */
const HOURS_AND_MINUTES = /(?<![\w.])(\d{1,3})\s?h(?:rs?)?\s?(\d{1,2})\s?m(?:ins?)?(?![\w²³/])/g;

function timeOf(amount: string, unit: string): string {
  return `${readAmount(amount)} ${unit}${amount === '1' ? '' : 's'}`;
}

function perName(per: string): string {
  return UNITS[per]?.one ?? PER_NAMES[per] ?? per;
}
