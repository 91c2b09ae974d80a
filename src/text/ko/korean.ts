import type { LanguagePhonemes, SpokenUnit } from '../language.js';
import { ASCII_MARKS } from '../marks.js';
import { SourceText } from '../source-text.js';
import { isSymbol } from '../symbols.js';
import { replaceExceptions } from './exceptions.js';
import { SPLIT_VOWELS, syllableCharacter } from './hangul.js';
import { normalizeKorean as normalize } from './normalization.js';
import { pronounce, type Sound } from './pronunciation.js';
import { wordRoles } from './word-roles.js';

/** A Korean text as it is read (normalization.ts). */
export function normalizeKorean(text: string): string {
  return normalize(SourceText.of(text)).text;
}

/**
 * The phonemes of a Korean text: one per jamo as it sounds, `空` for a space, `停` for a character without a sound. A
 * text that ends in a bare jamo gets a closing full stop, as the models were trained. Symbols of the v2 table only;
 * `word2ph` is null. Nothing is thrown. upstream: text/korean.py g2p
 */
export function koreanPhonemes(text: string | SourceText): LanguagePhonemes {
  const normalizedText = normalize(SourceText.of(text));
  const source = replaceExceptions(normalizedText).replace(TENSED_ENDING, (ending) => TENSED[ending] ?? ending);
  const written = source.text;
  const roles = wordRoles(written);
  // Code points, so that a character outside the basic plane is one pause; roles are by UTF-16 unit.
  const characters: string[] = [];
  const characterRoles: (typeof roles)[number][] = [];
  const places: (readonly [number, number])[] = [];
  let at = 0;
  for (const character of written) {
    characters.push(character);
    characterRoles.push(roles[at] ?? null);
    places.push(source.sourceRange(at, at + character.length));
    at += character.length;
  }
  const phonemes: string[] = [];
  const units: SpokenUnit[] = [];
  let startsWord = true;
  pronounce(characters, characterRoles).forEach((sound, i) => {
    const symbols = soundPhonemes(sound);
    phonemes.push(...symbols);
    const [start, end] = places[i] ?? [0, 0];
    const text = characters[i] ?? '';
    const reading = typeof sound === 'string' ? (/\p{L}/u.test(sound) ? sound : '') : syllableCharacter(sound);
    const rule = reading === '' ? 'mark' : reading === text ? 'as written' : 'sound rules';
    units.push({ text, start, end, phonemeCount: symbols.length, reading, rule, startsWord });
    startsWord = reading === '';
  });
  if (JAMO.test(phonemes.at(-1) ?? '')) {
    phonemes.push('.');
    const end = units.at(-1)?.end ?? 0;
    units.push({ text: '', start: end, end, phonemeCount: 1, reading: '', rule: 'closing stop', startsWord: true });
  }
  return { normalizedText: normalizedText.text, phonemes, word2ph: null, units };
}

function soundPhonemes(sound: Sound): string[] {
  if (typeof sound !== 'string') {
    const vowels = SPLIT_VOWELS[sound.vowel] ?? sound.vowel;
    return sound.coda === '' ? [sound.onset, ...vowels] : [sound.onset, ...vowels, sound.coda];
  }
  const vowels = SPLIT_VOWELS[sound];
  if (vowels !== undefined) return [...vowels];
  const phoneme = MARKS[sound] ?? sound;
  return [isSymbol(phoneme, 'v2') ? phoneme : '停'];
}

const JAMO = /^[ㄱ-ㅣ]$/;

/** Marks that have another's symbol. upstream: text/korean.py post_replace_ph */
const MARKS: Readonly<Record<string, string>> = {
  ...ASCII_MARKS,
  '\n': '.',
  ' ': '空',
};

/** Endings on -ㄹ whose own onset is tense (article 27). */
const TENSED: Readonly<Record<string, string>> = {
  걸: '껄',
  밖에: '빠께',
  세라: '쎄라',
  수록: '쑤록',
  지라도: '찌라도',
  지언정: '찌언정',
  진대: '찐대',
};
/** Precomposed syllables with the coda ㄹ are every 28th from 갈. */
const WITH_RIEUL = Array.from({ length: 399 }, (_, i) => String.fromCharCode(0xac08 + 28 * i)).join('');
const TENSED_ENDING = new RegExp(`(?<=[${WITH_RIEUL}])(?:${Object.keys(TENSED).join('|')})`, 'g');
