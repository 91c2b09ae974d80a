import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalizeEnglish } from './normalization.js';

/** Written text and how it is read, one case a line. */
const READINGS: Readonly<Record<string, readonly (readonly [written: string, read: string])[]>> = {
  'whole numbers and decimals': [
    ['24 hours', 'twenty-four hours'],
    ['1,411,750 people', 'one million, four hundred eleven thousand, seven hundred fifty people'],
    ['port 8080', 'port eight thousand eighty'],
    ['In 1984, 1900 and 2005', 'In nineteen eighty-four, nineteen hundred and two thousand five'],
    ['1,234 items', 'one thousand, two hundred thirty-four items'],
    ['3.14 and .5', 'three point one four and point five'],
    ['it is -5 outside', 'it is negative five outside'],
    ['agent 007', 'agent zero zero seven'],
    ['version 2.0.1', 'version two point zero point one'],
    ['3-5 days', 'three to five days'],
    ['won 3-1', 'won three one'],
    ['a ratio of 3:2', 'a ratio of three to two'],
    ['60%–70%, 5% - 6%', 'sixty percent to seventy percent, five percent to six percent'],
    ['√2 is no fraction', 'the square root of two is no fraction'],
    ['call 911, or 911', 'call nine one one, or nine one one'],
    ['911 people', 'nine hundred eleven people'],
    ['order A-10023', 'order A-one zero zero two three'],
    ['on 10.0.0.1:8080', 'on ten point zero point zero point one port eight zero eight zero'],
  ],
  'ordinals and fractions': [
    ['the 22nd and 101st', 'the twenty-second and one hundred and first'],
    ['1. Open it', 'first, Open it'],
    ['Step 3. Restart', 'Step three. Restart'],
    ['1/2 cup, 3/4 mile', 'one half cup, three fourths mile'],
    ['2½ hours', 'two and one half hours'],
    ['open 24/7', 'open twenty-four seven'],
    ['a 50/50 chance', 'a fifty fifty chance'],
  ],
  'dates and decades': [
    ['on 05/20/2025', 'on May twentieth, twenty twenty-five'],
    ['on 20/05/2025', 'on May twentieth, twenty twenty-five'],
    ['on 2025-05-20', 'on May twentieth, twenty twenty-five'],
    ['January 1, 2024', 'January first, twenty twenty-four'],
    ['5 May 2024', 'the fifth of May twenty twenty-four'],
    ['the 1990s', 'the nineteen nineties'],
    ["the '80s", 'the eighties'],
  ],
  'times of day': [
    ['at 9:30 a.m. on Monday', 'at nine thirty A M on Monday'],
    ['at 13:05', 'at one oh five P M'],
    ['at 7:00', "at seven o'clock"],
    ['at 3pm.', 'at three P M.'],
    ['at 10.30 a.m. today', 'at ten thirty A M today'],
    ['8:30-17:30', 'eight thirty to five thirty P M'],
    ['at 24:00', 'at midnight'],
  ],
  money: [
    ['$3.50', 'three dollars and fifty cents'],
    ['$1,234', 'one thousand, two hundred thirty-four dollars'],
    ['US$20', 'twenty U S dollars'],
    ['$1.5B', 'one point five billion dollars'],
    ['$5 million', 'five million dollars'],
    ['$20-$30', 'twenty to thirty dollars'],
    ['-$5', 'negative five dollars'],
    ['£7.14 or 20£', 'seven pounds and fourteen pence or twenty pounds'],
    ['€50 and 50 EUR', 'fifty euros and fifty euros'],
    ['¥100, CNY 9.90', 'one hundred yuan, nine point nine zero yuan'],
    ['JPY 5000', 'five thousand yen'],
    ['50¢', 'fifty cents'],
  ],
  units: [
    ['12kg', 'twelve kilograms'],
    ['300 km/h', 'three hundred kilometers per hour'],
    ['30mph', 'thirty miles per hour'],
    ['16GB at 2.4 GHz', 'sixteen gigabytes at two point four gigahertz'],
    ['-5°C', 'negative five degrees celsius'],
    ['20-25°C', 'twenty to twenty-five degrees celsius'],
    ['1m or 5 m', 'one meter or five meters'],
    ['100 m2', 'one hundred square meters'],
    ['5 mg/kg', 'five milligrams per kilogram'],
    ['99.9%', 'ninety-nine point nine percent'],
    ['5G and 4K', 'five G and four K'],
  ],
  'numbers read digit by digit': [
    ['Call 400-820-8820', 'Call four zero zero, eight two zero, eight eight two zero'],
    ['+1 (415) 555-2671', 'plus one, four one five, five five five, two six seven one'],
    ['Your code is 482913', 'Your code is four eight two nine one three'],
    ['Dial 911.', 'Dial nine one one.'],
    ['He called 200 people.', 'He called two hundred people.'],
    ['13800138000', 'one three eight zero zero one three eight zero zero zero'],
  ],
  'marks and signs': [
    ['wait; no: yes', 'wait, no, yes'],
    ['Hello，world。How？', 'Hello,world. How?'],
    ['wait—what', 'wait, what'],
    ['Wait… what', 'Wait. what'],
    ['really?! no!!!', 'really? no!'],
    ['“quoted” and (paren)', 'quoted and paren'],
    ['she said ‘fine’ and left', 'she said fine and left'],
    ['a question mark ("?") here', 'a question mark here'],
    ['Cats & dogs', 'Cats and dogs'],
    ['2+2=4', 'two plus two equals four'],
    ['x² + y²', 'x squared plus y squared'],
    ['#1 in A/B', 'number one in A B'],
    ['α and β', 'alpha and beta'],
    ['line one\nline two', 'line one. line two'],
  ],
  'business, medicine and kitchens': [
    [
      '$189.95, down $2.35 (-1.2%).',
      'one hundred eighty-nine dollars and ninety-five cents, down two dollars and thirty-five cents negative one point two percent.',
    ],
    ['rates rose 25 bps', 'rates rose twenty-five basis points'],
    ['a 9600 bps modem', 'a nine thousand, six hundred bit per second modem'],
    ['over 30 yrs, a 10-yr loan', 'over thirty years, a ten year loan'],
    ['a 56-y/o male with stage III disease', 'a fifty-six year old male with stage three disease'],
    ['BP 128/82 mmHg', 'B P one hundred twenty-eight over eighty-two millimeters of mercury'],
    ['blood pressure of 120/80', 'blood pressure of one hundred twenty over eighty'],
    ['3/4 tsp salt, ½ lb. of butter', 'three fourths teaspoon salt, one half pound of butter'],
    ['1 hr. 30 mins. later', 'one hour thirty minutes later'],
    ['a 5 mm cut, 5 mm deep', 'a five millimeter cut, five millimeters deep'],
    ['2"x3" tiles, 1/4" thick', 'two inches by three inches tiles, one fourth inch thick'],
    ['a 6.7" screen', 'a six point seven inch screen'],
    ['he said "route 66" twice', 'he said route sixty-six twice'],
    [
      '3,500 sq. ft. at $450/sq ft',
      'three thousand, five hundred square feet at four hundred fifty dollars per square foot',
    ],
    ['48MP', 'forty-eight megapixels'],
    ['20M people and 50K users', 'twenty million people and fifty thousand users'],
    ['odds of 5/1', 'odds of five to one'],
    ['says B2B here', 'says B two B here'],
  ],
  'keys, codes and places': [
    ['or # to repeat, press #', 'or pound to repeat, press pound'],
    ['ending in 4821 was', 'ending in four eight two one was'],
    ['ext. 4512, please', 'extension four five one two, please'],
    ['Washington, DC 20500', 'Washington, D C two zero five zero zero'],
    ['221B Baker St. London', 'two hundred twenty-one B Baker Street London'],
    ['Mon-Fri', 'Monday to Friday'],
    ['no. 7 is, the no. 7 bus', 'number seven is, the number seven bus'],
    ['TS-20241008-0032', 'T S two zero two four one zero zero eight, zero zero three two'],
    ['HK20241008 and abc12345', 'H K two zero two four one zero zero eight and abc one two three four five'],
    ['abc_123', 'abc underscore one two three'],
    ['WhatsApp 6123 4567', 'Whats App six one two three, four five six seven'],
    ['best day <3', 'best day'],
  ],
  apostrophes: [
    ['don’t', "don't"],
    ['the students’ books in the ’90s', "the students' books in the nineties"],
    ["O'Brien", "O'Brien"],
    ["the students' books", "the students' books"],
    ["rock 'n' roll", "rock 'n' roll"],
  ],
  'addresses and files': [
    ['support@example.com.', 'support at example dot com.'],
    ['https://www.example.com/a-b', 'W W W dot example dot com slash a dash b'],
    ['see example.org', 'see example dot org'],
    ['Node.js', 'Node dot J S'],
    ['a .chm file', 'a dot chm file'],
    ['C# and .NET', 'C sharp and dot net'],
  ],
  abbreviations: [
    ['Dr. Smith vs. Mr. Brown', 'Doctor Smith versus Mr Brown'],
    ['St. Paul lives on Main St.', 'Saint Paul lives on Main Street.'],
    ['No. 5, e.g. this', 'number five, for example this'],
    ['the U.S. economy', 'the U S economy'],
    ['a Ph.D. in physics', 'a P H D in physics'],
    ['World War II', 'World War two'],
    ['Henry VIII', 'Henry the eighth'],
    ['J. K. Rowling', 'J K Rowling'],
  ],
  'capitals, digits and accents': [
    ['NASA and IBM', 'N A S A and I B M'],
    ['GPUs', "G P U's"],
    ['ChatGPT, iPhone', 'Chat G P T, i Phone'],
    ['B12 and Web3', 'B twelve and Web three'],
    ['in 2h 15m', 'in two hours fifteen minutes'],
    ['21-19, 15-21, 15-13', 'twenty-one nineteen, fifteen twenty-one, fifteen thirteen'],
    ['an A320-200', 'an A three twenty two hundred'],
    ['MAC 00:1A:2B', 'M A C zero zero, one A, two B'],
    ['10 / 2 = 5', 'ten divided by two equals five'],
    ['2^10 and x^2', 'two to the power of ten and x squared'],
    ['£5.50/hr', 'five pounds and fifty pence per hour'],
    ['ISBN 978-3-16-148410-0', 'I S B N nine seven eight, three, one six, one four eight four one zero, zero'],
    ['ZIP 94107-1234', 'Z I P nine four one zero seven, one two three four'],
    ['café naïve Łódź Straße', 'cafe naive Lodz Strasse'],
    ['ＡＢＣ１', 'A B C one'],
  ],
};

describe('English normalisation', () => {
  for (const [topic, cases] of Object.entries(READINGS)) {
    it(`reads ${topic}`, () => {
      expect(cases.map(([written]) => [written, normalizeEnglish(written)])).toEqual(cases);
    });
  }

  it('leaves only letters, spaces and the marks the models know, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(normalizeEnglish(text)).toMatch(/^[ A-Za-z'.,?!-]*$/);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves no digit unread in a text of digits and signs', () => {
    const sign = fc.constantFrom(...'0123456789.,:/-+%$€£¥°#@ kmghsGBxapM()'.split(''));
    fc.assert(
      fc.property(fc.array(sign, { maxLength: 30 }), (signs) => {
        const text = signs.join('');
        const read = normalizeEnglish(text);
        expect(read).toMatch(/^[ A-Za-z'.,?!-]*$/);
        if (/\d/.test(text)) expect(read).toMatch(/[a-z]/);
      }),
      { numRuns: 500 },
    );
  });

  it('takes time in proportion to the text', () => {
    for (const unit of ['1,', '$', "a'", ' ', '1-', 'A.', 'a@', '(', '\n', '1:', '-']) {
      const started = process.cpuUsage();
      normalizeEnglish(unit.repeat(20_000));
      // Quadratic patterns took 10 s of processor time and more here.
      expect(process.cpuUsage(started).user / 1000, JSON.stringify(unit)).toBeLessThan(3000);
    }
  });
});
