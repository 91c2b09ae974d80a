import type { LanguagePhonemes } from '../language.js';
import { isSymbol } from '../symbols.js';
import { replaceExceptions } from './exceptions.js';
import { SPLIT_VOWELS } from './hangul.js';
import { normalizeKorean } from './normalization.js';
import { pronounce, type Sound } from './pronunciation.js';
import { wordRoles } from './word-roles.js';

export { normalizeKorean } from './normalization.js';

/**
 * The phonemes of a Korean text: one per jamo as it sounds, `空` for a space, `停` for a character without a sound. A
 * text that ends in a bare jamo gets a closing full stop, as the models were trained. Symbols of the v2 table only;
 * `word2ph` is null. Nothing is thrown. upstream: text/korean.py g2p
 */
export function koreanPhonemes(text: string): LanguagePhonemes {
  const normalizedText = normalizeKorean(text);
  const written = replaceExceptions(normalizedText).replace(TENSED_ENDING, (ending) => TENSED[ending] ?? ending);
  const roles = wordRoles(written);
  // Code points, so that a character outside the basic plane is one pause; roles are by UTF-16 unit.
  const characters: string[] = [];
  const characterRoles: (typeof roles)[number][] = [];
  let at = 0;
  for (const character of written) {
    characters.push(character);
    characterRoles.push(roles[at] ?? null);
    at += character.length;
  }
  const phonemes = pronounce(characters, characterRoles).flatMap(soundPhonemes);
  if (JAMO.test(phonemes.at(-1) ?? '')) phonemes.push('.');
  return { normalizedText, phonemes, word2ph: null };
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
  '：': ',',
  '；': ',',
  '，': ',',
  '。': '.',
  '！': '!',
  '？': '?',
  '\n': '.',
  '·': ',',
  '、': ',',
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
