import { isSymbol } from '../symbols.js';

/**
 * The two phonemes of a Jyutping syllable as the models know them: initial, then final with its tone, both behind `Y`.
 * Syllables without a consonant are cut after their vowel, or take their last letter twice, as upstream does; what the
 * symbol table lacks is `UNK`. upstream: text/cantonese.py jyuping_to_initials_finals_tones
 */
export function jyutpingPhonemes(syllable: string): [string, string] {
  const known = cache.get(syllable);
  if (known) return known;
  const tone = syllable.slice(-1);
  const base = syllable.slice(0, -1);
  const initial = INITIALS.find((start) => base.startsWith(start)) ?? base.slice(0, 1);
  const final = base.slice(initial.length) || initial.slice(-1);
  const phonemes: [string, string] = [symbol(`Y${initial}`), symbol(`Y${final}${tone}`)];
  cache.set(syllable, phonemes);
  return phonemes;
}

/** In the order in which they are tried. */
const INITIALS = 'aa ai au ap at ak a e ong on ou oi ok o uk ung kw gw ng p b t d k g f h l m n s w c z j'.split(' ');

/** There are some two thousand syllables in all. */
const cache = new Map<string, [string, string]>();

function symbol(name: string): string {
  return isSymbol(name, 'v2') ? name : 'UNK';
}
