import type { SourceText } from '../source-text.js';

/** A heart at the end of a message. */
const HEART = /(?<=[A-Za-z!.] ?)<3(?=[.!,\s]{0,9}$)/;
const INCH = /(?<![\d./])(\d{1,4}(?:\.\d{1,3}|\/\d{1,2})?)["″](?:\s?([x×])\s?(?=\d)|(?=$|[\s,.;)-]))/g;

/**
 * Reads the inches of 6.7" and 2"x3", while marks of quotation can still be told from them: where one is open, it is
 * what the mark closes.
 */
export function expandInches(text: SourceText): SourceText {
  const unhearted = text.replace(HEART, '');
  if (!/\d["″]/.test(unhearted.text)) return unhearted;
  let quotes = 0;
  let counted = 0;
  return unhearted.replace(INCH, (whole, amount: string, by: string | undefined, at: number, all: string) => {
    quotes += all.slice(counted, at).split('"').length - 1;
    counted = at + whole.length;
    if (quotes % 2 === 1) {
      quotes++;
      return whole;
    }
    const one = /\b[Aa]n? $/.test(all.slice(Math.max(0, at - 4), at)) || amount === '1' || amount.includes('/');
    return `${amount} ${one ? 'inch' : 'inches'}${by === undefined ? '' : ' by '}`;
  });
}

/**
 * Brings typographic variants to the plain characters that the later passes know: full-width forms, Chinese marks,
 * curly apostrophes, dashes, ellipses, brackets, quotation marks, line breaks, fractions and superscripts.
 */
export function unifyCharacters(text: SourceText): SourceText {
  return (
    text
      .replace(/\s+/g, (space) => (/[\r\n\u2028\u2029]/.test(space) ? '\n' : ' '))
      .replace(/[\uff01-\uff60\uffe0-\uffe6]/g, (mark) => mark.normalize('NFKC'))
      // A mark that is only named ("?") is not a pause.
      .replace(/(?<= )["“(]{1,3}[.,?!;:/\\]{1,3}["”)]{1,3}/g, '')
      // Between letters, behind a plural s and before a short year or word, a curly mark is an apostrophe; else a quote.
      .replace(/(?<=\p{L})[’‘ʼ´](?=\p{L})|(?<=s)’(?= \p{L})/gu, "'")
      .replace(/[’‘](?=\d0s|\d\d(?!\d)|(?:tis|twas|em|til|cause|bout|n)\b)/gi, "'")
      .replace(/[’‘ʼ`´]/g, '')
      .replace(/′/g, "'")
      .replace(/(?<![\d.'])(\d{1,2})'\s?(\d{1,2})(?:["”″]|'')/g, '$1 foot $2')
      .replace(/[“”„‟"«»‹›「」『』《》〈〉]/g, '')
      .replace(/(?<=[\p{L}\p{N}])[([{【〔](?=\S)/gu, ' ')
      .replace(/[)\]}】〕](?=[\p{L}\p{N}])/gu, ' ')
      .replace(/[()[\]{}【】〔〕]/g, '')
      .replace(/[。｡]/g, '. ')
      .replace(/、/g, ', ')
      .replace(/…+/g, '...')
      .replace(/[‒–](?=\s?[\d$€£¥])/g, '-')
      .replace(/\s{0,9}(?:[—―–]+|--+)\s*/g, ', ')
      .replace(/[\u2010\u2011]/g, '-')
      .replace(/−/g, '-')
      .replace(/ ?\n ?/g, (_, at: number, whole: string) => (/[,.?!;:]/.test(whole[at - 1] ?? '.') ? ' ' : '. '))
      .replace(/[\u200b-\u200f\u2060\ufeff\u00ad]/g, '')
      .replace(/(\d?)([¼-¾⅐-⅞])/g, (_, whole: string, sign: string) => {
        const plain = sign.normalize('NFKC').replace('\u2044', '/');
        return whole === '' ? plain : `${whole} and ${plain}`;
      })
      .replace(/[₀-₉]/g, (digit) => digit.normalize('NFKC'))
  );
}

const SIGNS: readonly (readonly [RegExp, string])[] = [
  [/:(?=[\\/])/g, ' '],
  [/[;:]/g, ','],
  [/ @ /g, ' at '],
  [/ ?& ?/g, ' and '],
  [/ ?± ?/g, ' plus or minus '],
  [/ ?(?:≈|≃) ?/g, ' is about '],
  [/ ?≠ ?/g, ' does not equal '],
  [/ ?(?:≥|>=) ?/g, ' is at least '],
  [/ ?(?:≤|<=) ?/g, ' is at most '],
  [/ ?[-=]{1,3}> ?| ?→ ?/g, ', '],
  [/ ?= ?/g, ' equals '],
  [/ ?× ?/g, ' times '],
  [/ ?÷ ?/g, ' divided by '],
  [/√ ?(?=[\w(])/g, ' the square root of '],
  [/∞/g, ' infinity '],
  [/(?<=[a-z\d²³]) ?\+ ?(?=[a-z\d])/gi, ' plus '],
  [/(?<=[A-Za-z])\+\+/g, ' plus plus'],
  [/(?<=[A-Za-z])\+/g, ' plus'],
  [/\+(?=[a-z])/gi, 'plus '],
  [/(?<=\w) ?> ?(?=\w)/g, ' is greater than '],
  [/(?<=\w) ?< ?(?=\w)/g, ' is less than '],
  [/²/g, ' squared'],
  [/³/g, ' cubed'],
  [/ ?%/g, ' percent'],
  [/ ?‰/g, ' per mille'],
  [/ ?°/g, ' degrees'],
  [/\b@(?=\w)/g, ' at '],
  [/[@#*^|_~\\/]/g, ' '],
];

const GREEK =
  'alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega'.split(
    ' ',
  );

/** Reads the signs that are left when numbers are words: ";" as a pause, "&" as "and", "%" as "percent", Greek letters… */
export function expandSigns(text: SourceText): SourceText {
  const signed = SIGNS.reduce((current, [pattern, words]) => current.replace(pattern, words), text);
  return signed
    .replace(/[\u0391-\u03a9\u03b1-\u03c9]/g, (letter) => {
      const name = GREEK[letter.toLowerCase().charCodeAt(0) - 0x3b1];
      return name === undefined ? '' : ` ${name} `;
    })
    .replace(/µ/g, ' micro ');
}
