/** Consonant and vowel of a mora in katakana; the vowel is empty for ン and ッ, the consonant for a bare vowel. */
export interface Mora {
  readonly consonant: string;
  readonly vowel: string;
}

/**
 * The mora at a place of a pronunciation and its length in characters, or undefined for a character that is none.
 * upstream: Open JTalk, jpcommon_mora_list
 */
export function moraAt(katakana: string, at: number): { readonly mora: Mora; readonly length: number } | undefined {
  const two = MORAE.get(katakana.slice(at, at + 2));
  if (two !== undefined && at + 1 < katakana.length) return { mora: two, length: 2 };
  const one = MORAE.get(katakana.charAt(at));
  return one === undefined ? undefined : { mora: one, length: 1 };
}

/** Katakana for hiragana; other characters stay. */
export function toKatakana(text: string): string {
  return text.replace(/[\u3041-\u3096]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) + 0x60));
}

const VOWELS = 'aiueo';
const ROWS: readonly (readonly [string, string])[] = [
  ['', 'アイウエオ'],
  ['k', 'カキクケコ'],
  ['s', 'サ　スセソ'],
  ['t', 'タ　　テト'],
  ['n', 'ナニヌネノ'],
  ['h', 'ハヒ　ヘホ'],
  ['m', 'マミムメモ'],
  ['y', 'ヤ　ユ　ヨ'],
  ['r', 'ラリルレロ'],
  ['w', 'ワ　　　　'],
  ['g', 'ガギグゲゴ'],
  ['z', 'ザ　ズゼゾ'],
  ['d', 'ダ　　デド'],
  ['b', 'バビブベボ'],
  ['p', 'パピプペポ'],
];
const SINGLE =
  'シ sh i|チ ch i|ツ ts u|フ f u|ジ j i|ヂ j i|ヅ z u|ヴ v u|ン N -|ッ cl -|ヲ - o|ヱ - e|ヰ - i|ヮ w a|ヶ k e|' +
  'ァ - a|ィ - i|ゥ - u|ェ - e|ォ - o|ャ y a|ュ y u|ョ y o|' +
  'ドゥ d u|トゥ t u|ディ d i|ティ t i|ズィ z i|スィ s i|イェ y e|グヮ gw a|クヮ kw a';
/** Consonant that a kana takes before small ャ ュ ョ, and before small ェ. */
const GLIDES = 'キky ギgy ニny ヒhy ビby ピpy ミmy リry シsh ジj チch';
const GLIDES_WITHOUT_E = 'デdy テty ヴby';
/** Consonants that a kana takes before small vowels. */
const BEFORE_SMALL_VOWELS = 'フf:ァィェォ ツts:ァィェォ ヴv:ァィェォ ウw:ィェォ';
const SMALL_VOWELS: Readonly<Record<string, string>> = { ァ: 'a', ィ: 'i', ゥ: 'u', ェ: 'e', ォ: 'o' };

const MORAE: ReadonlyMap<string, Mora> = buildMorae();

function buildMorae(): Map<string, Mora> {
  const morae = new Map<string, Mora>();
  for (const [consonant, kana] of ROWS) {
    [...kana].forEach((character, i) => {
      if (character !== '　') morae.set(character, { consonant, vowel: VOWELS[i] ?? '' });
    });
  }
  const none = (name: string): string => (name === '-' ? '' : name);
  for (const row of SINGLE.split('|')) {
    const [kana = '', consonant = '', vowel = ''] = row.split(' ');
    morae.set(kana, { consonant: none(consonant), vowel: none(vowel) });
  }
  const glide = (list: string, small: readonly (readonly [string, string])[]): void => {
    for (const item of list.split(' ')) {
      for (const [kana, vowel] of small) morae.set(item.charAt(0) + kana, { consonant: item.slice(1), vowel });
    }
  };
  const glides = [
    ['ャ', 'a'],
    ['ュ', 'u'],
    ['ョ', 'o'],
  ] as const;
  glide(GLIDES, [...glides, ['ェ', 'e']]);
  glide(GLIDES_WITHOUT_E, glides);
  for (const item of BEFORE_SMALL_VOWELS.split(' ')) {
    const [consonant = '', small = ''] = item.slice(1).split(':');
    for (const kana of small) morae.set(item.charAt(0) + kana, { consonant, vowel: SMALL_VOWELS[kana] ?? '' });
  }
  return morae;
}
