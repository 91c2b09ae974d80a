/** One spoken syllable block as compatibility jamo; `coda` is '' when open. */
export interface Syllable {
  onset: string;
  vowel: string;
  coda: string;
  /** What the word around it says about the coda, for the rules that need grammar. */
  role: SyllableRole | null;
}

/** `stem`: last syllable of a verb or adjective stem; `modifier`: a verb's -(으)ㄹ before a noun; `tense`: onset is tense. */
export type SyllableRole = 'stem' | 'modifier' | 'tense';

/** The syllable at a character, or null where it is not a precomposed Hangul syllable. */
export function syllableOf(character: string): Syllable | null {
  const index = (character.codePointAt(0) ?? 0) - FIRST;
  if (index < 0 || index >= COUNT) return null;
  return {
    onset: ONSETS.charAt(Math.floor(index / 588)),
    vowel: VOWELS.charAt(Math.floor((index % 588) / 28)),
    coda: CODAS[index % 28] ?? '',
    role: null,
  };
}

/** The character of a syllable; the inverse of `syllableOf`. */
export function syllableCharacter({ onset, vowel, coda }: Syllable): string {
  const index = ONSETS.indexOf(onset) * 588 + VOWELS.indexOf(vowel) * 28 + CODAS.indexOf(coda);
  return String.fromCharCode(FIRST + index);
}

/** The coda of a character ('' when open), or null where it is no Hangul syllable. */
export function codaOf(character: string): string | null {
  const index = (character.codePointAt(0) ?? 0) - FIRST;
  return index < 0 || index >= COUNT ? null : (CODAS[index % 28] ?? '');
}

/** Diphthongs as the models spell them: an on-glide or off-glide and a plain vowel. upstream: text/korean.py _hangul_divided */
export const SPLIT_VOWELS: Readonly<Record<string, string>> = {
  ㅘ: 'ㅗㅏ',
  ㅙ: 'ㅗㅐ',
  ㅚ: 'ㅗㅣ',
  ㅝ: 'ㅜㅓ',
  ㅞ: 'ㅜㅔ',
  ㅟ: 'ㅜㅣ',
  ㅢ: 'ㅡㅣ',
  ㅑ: 'ㅣㅏ',
  ㅒ: 'ㅣㅐ',
  ㅕ: 'ㅣㅓ',
  ㅖ: 'ㅣㅔ',
  ㅛ: 'ㅣㅗ',
  ㅠ: 'ㅣㅜ',
};

const FIRST = 0xac00;
const COUNT = 11172;
const ONSETS = 'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ';
const VOWELS = 'ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ';
const CODAS = ['', ...'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'];
