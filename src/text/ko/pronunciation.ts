import { type Syllable, syllableOf } from './hangul.js';

/** A spoken unit: a syllable after the sound rules, or any other character as it stands. */
export type Sound = Syllable | string;

/**
 * Applies the sound rules of standard Korean to a text whose numbers and letters are spelt out: each coda meets the
 * onset that follows, also across one space, and is assimilated, aspirated, tensed, palatalised, carried over or made
 * neutral. `roles[i]` is what is known of the i-th character. Linear in the length of the text.
 * Standard Pronunciation articles 5 to 30; where the standard leaves a choice, the models' own
 * (upstream: g2pk2 special.py, table.csv, regular.py).
 */
export function pronounce(characters: readonly string[], roles: readonly Syllable['role'][]): Sound[] {
  const sounds = characters.map((character, i): Sound => {
    const syllable = syllableOf(character);
    if (syllable === null) return character;
    syllable.role = roles[i] ?? null;
    return syllable;
  });
  for (const sound of sounds) if (typeof sound !== 'string') plainVowel(sound);
  for (let i = 0; i < sounds.length; i++) {
    const sound = sounds[i];
    if (sound === undefined || typeof sound === 'string') continue;
    if (sound.role === 'tense') sound.onset = TENSE[sound.onset] ?? sound.onset;
    const spaced = sounds[i + 1] === ' ';
    const next = sounds[spaced ? i + 2 : i + 1];
    if (next === undefined || typeof next === 'string') sound.coda = neutral(sound.coda);
    else if (spaced) acrossSpace(sound, next);
    else withinWord(sound, next);
  }
  return sounds;
}

/** Articles 5.1 and 5.3: 져 쪄 쳐 lose their glide, and ㅢ after a consonant is ㅣ. */
function plainVowel(syllable: Syllable): void {
  if (syllable.vowel === 'ㅕ' && 'ㅈㅉㅊ'.includes(syllable.onset)) syllable.vowel = 'ㅓ';
  if (syllable.vowel === 'ㅢ' && syllable.onset !== 'ㅇ') syllable.vowel = 'ㅣ';
}

function acrossSpace(left: Syllable, right: Syllable): void {
  if (right.onset === 'ㅇ') {
    left.coda = neutral(left.coda);
    return;
  }
  if (left.role === 'modifier' && left.coda === 'ㄹ') right.onset = TENSE[right.onset] ?? right.onset;
  const lateral = left.onset === 'ㅇ' || left.onset === 'ㄹ';
  // After the particles 을 and 를 a following ㄴ keeps its sound (upstream: fix_g2pk2_error).
  if (left.coda === 'ㄹ' && right.onset === 'ㄴ' && left.vowel === 'ㅡ' && lateral) return;
  meet(left, right);
}

function withinWord(left: Syllable, right: Syllable): void {
  if (stressedForm(left, right)) return;
  if (right.onset === 'ㅇ') carryOver(left, right);
  else meet(left, right);
}

/** Articles 10.1, 11.1, 17, 24 and 25, which depend on the word. True when nothing is left to do. */
function stressedForm(left: Syllable, right: Syllable): boolean {
  const { coda } = left;
  if (
    (coda === 'ㄷ' || coda === 'ㅈ' || coda === 'ㄵ') &&
    right.onset === 'ㅎ' &&
    (right.vowel === 'ㅣ' || (right.vowel === 'ㅕ' && right.coda !== 'ㅇ'))
  ) {
    // 굳히다 [구치다], 닫혀 [다처], 앉히다 [안치다]
    left.coda = coda === 'ㄵ' ? 'ㄴ' : '';
    right.onset = 'ㅊ';
    if (right.vowel === 'ㅕ' && coda === 'ㄷ') right.vowel = 'ㅓ';
    return true;
  }
  if (coda === 'ㄼ' && left.vowel === 'ㅏ' && left.onset === 'ㅂ' && right.onset !== 'ㅇ' && right.onset !== 'ㅎ') {
    left.coda = 'ㅂ'; // 밟다 [밥따], 밟는 [밤는]
  } else if (
    coda === 'ㄼ' &&
    left.onset === 'ㄴ' &&
    left.vowel === 'ㅓ' &&
    /[ㅈㅉㄷㄸ]/.test(right.onset) &&
    right.vowel === 'ㅜ'
  ) {
    left.coda = 'ㅂ'; // 넓죽하다 [넙쭈카다]
  } else if (left.role === 'stem') {
    const tensed = TENSE[right.onset];
    if (coda === 'ㄺ' && (right.onset === 'ㄱ' || right.onset === 'ㄲ')) {
      left.coda = 'ㄹ'; // 읽고 [일꼬]
      right.onset = 'ㄲ';
      return true;
    }
    if (tensed !== undefined && right.onset !== 'ㅂ' && 'ㄴㅁㄵㄻㄼㄾ'.includes(coda)) {
      left.coda = neutral(coda); // 신고 [신꼬], 앉다 [안따], 젊지 [점찌], 넓게 [널께]
      right.onset = tensed;
      return true;
    }
  }
  return false;
}

/** A coda before a vowel moves over; of two, only the second does. Articles 12.4, 13, 14, 17. */
function carryOver(left: Syllable, right: Syllable): void {
  const { coda } = left;
  if (coda === '' || coda === 'ㅇ') return;
  const palatal = right.vowel === 'ㅣ' || right.vowel === 'ㅕ' ? PALATAL[coda] : undefined;
  const [rest, moved] = palatal ?? MOVED[coda] ?? ['', coda];
  left.coda = rest;
  right.onset = moved;
}

/** A coda before a consonant. Articles 9 to 12, 18 to 20, 23. */
function meet(left: Syllable, right: Syllable): void {
  const { coda } = left;
  const { onset } = right;
  if (coda === '') return;
  const rest = ASPIRATED_CODA[coda];
  if (rest !== undefined) {
    left.coda = rest;
    if (onset in ASPIRATED) right.onset = ASPIRATED[onset] ?? onset;
    else if (onset === 'ㅅ') right.onset = 'ㅆ';
    else if (onset === 'ㄴ' && coda === 'ㅎ') left.coda = 'ㄴ';
    else liquid(left, right);
    return;
  }
  const merged = onset === 'ㅎ' ? BEFORE_H[coda] : undefined;
  if (merged !== undefined) {
    [left.coda, right.onset] = merged;
    return;
  }
  const plain = neutral(coda);
  left.coda = plain;
  const nasal = NASAL[plain];
  if (nasal !== undefined) {
    if (onset === 'ㄴ' || onset === 'ㅁ') left.coda = nasal;
    else if (onset === 'ㄹ') {
      left.coda = nasal;
      right.onset = 'ㄴ';
    } else right.onset = TENSE[onset] ?? onset;
    return;
  }
  if ((coda === 'ㄼ' || coda === 'ㄽ') && onset in TENSE) right.onset = TENSE[onset] ?? onset;
  liquid(left, right);
}

/** ㄴ beside ㄹ becomes ㄹ, and ㄹ after ㅁ or ㅇ becomes ㄴ. Articles 19 and 20. */
function liquid(left: Syllable, right: Syllable): void {
  if (left.coda === 'ㄴ' && right.onset === 'ㄹ') left.coda = 'ㄹ';
  else if (left.coda === 'ㄹ' && right.onset === 'ㄴ') right.onset = 'ㄹ';
  else if ((left.coda === 'ㅁ' || left.coda === 'ㅇ') && right.onset === 'ㄹ') right.onset = 'ㄴ';
}

/** The sound of a coda at the end of a word. */
function neutral(coda: string): string {
  return NEUTRAL[coda] ?? coda;
}

const NEUTRAL: Readonly<Record<string, string>> = {
  ㄲ: 'ㄱ',
  ㅋ: 'ㄱ',
  ㄳ: 'ㄱ',
  ㄺ: 'ㄱ',
  ㅅ: 'ㄷ',
  ㅆ: 'ㄷ',
  ㅈ: 'ㄷ',
  ㅊ: 'ㄷ',
  ㅌ: 'ㄷ',
  ㅎ: 'ㄷ',
  ㅍ: 'ㅂ',
  ㅄ: 'ㅂ',
  ㄿ: 'ㅂ',
  ㄵ: 'ㄴ',
  ㄶ: 'ㄴ',
  ㄼ: 'ㄹ',
  ㄽ: 'ㄹ',
  ㄾ: 'ㄹ',
  ㅀ: 'ㄹ',
  ㄻ: 'ㅁ',
};
const TENSE: Readonly<Record<string, string>> = { ㄱ: 'ㄲ', ㄷ: 'ㄸ', ㅂ: 'ㅃ', ㅅ: 'ㅆ', ㅈ: 'ㅉ' };
const NASAL: Readonly<Record<string, string>> = { ㄱ: 'ㅇ', ㄷ: 'ㄴ', ㅂ: 'ㅁ' };
const ASPIRATED: Readonly<Record<string, string>> = { ㄱ: 'ㅋ', ㄷ: 'ㅌ', ㅈ: 'ㅊ' };
/** Codas with ㅎ, and what is left of them before a consonant. */
const ASPIRATED_CODA: Readonly<Record<string, string>> = { ㅎ: '', ㄶ: 'ㄴ', ㅀ: 'ㄹ' };
/** Coda and onset where a coda meets ㅎ. */
const BEFORE_H: Readonly<Record<string, readonly [string, string]>> = {
  ㄱ: ['', 'ㅋ'],
  ㄲ: ['', 'ㅋ'],
  ㅋ: ['', 'ㅋ'],
  ㄳ: ['', 'ㅋ'],
  ㄺ: ['ㄹ', 'ㅋ'],
  ㄷ: ['', 'ㅌ'],
  ㅅ: ['', 'ㅌ'],
  ㅆ: ['', 'ㅌ'],
  ㅊ: ['', 'ㅌ'],
  ㅌ: ['', 'ㅌ'],
  ㅈ: ['', 'ㅊ'],
  ㄵ: ['ㄴ', 'ㅊ'],
  ㅂ: ['', 'ㅍ'],
  ㅍ: ['', 'ㅍ'],
  ㄼ: ['ㄹ', 'ㅍ'],
  ㄿ: ['ㅂ', 'ㅍ'],
  ㅄ: ['ㅂ', 'ㅍ'],
};
/** What stays and what moves before a vowel; a single coda that is not listed moves as it is. */
const MOVED: Readonly<Record<string, readonly [string, string]>> = {
  ㅎ: ['', 'ㅇ'],
  ㄶ: ['', 'ㄴ'],
  ㅀ: ['', 'ㄹ'],
  ㄳ: ['ㄱ', 'ㅆ'],
  ㄵ: ['ㄴ', 'ㅈ'],
  ㄺ: ['ㄹ', 'ㄱ'],
  ㄻ: ['ㄹ', 'ㅁ'],
  ㄼ: ['ㄹ', 'ㅂ'],
  ㄽ: ['ㄹ', 'ㅆ'],
  ㄾ: ['ㄹ', 'ㅌ'],
  ㄿ: ['ㄹ', 'ㅍ'],
  ㅄ: ['ㅂ', 'ㅆ'],
};
/** The same before ㅣ and ㅕ: 굳이 [구지], 붙여 [부쳐], 핥이다 [할치다]. */
const PALATAL: Readonly<Record<string, readonly [string, string]>> = {
  ㄷ: ['', 'ㅈ'],
  ㅌ: ['', 'ㅊ'],
  ㄾ: ['ㄹ', 'ㅊ'],
};
