import { type Syllable, spell, syllable, toneOf, withTone } from './syllables.js';
import { ALWAYS_ERHUA, NEVER_ERHUA } from './wordlists.js';

/**
 * Gives a word-final 儿 that only colours the syllable before it that syllable's tone (v2 models only: 花儿 stays
 * hua1 er2, 一会儿 becomes hui4 er4). upstream: text/chinese2.py _merge_erhua
 */
export function applyErhua(word: string, tag: string, syllables: readonly Syllable[]): Syllable[] {
  const changed = [...syllables];
  const end = word.length - 1;
  if (!word.endsWith('儿') || !spell(changed[end]!).startsWith('er')) return changed;
  if (toneOf(changed[end]!) === 1) changed[end] = withTone(changed[end]!, 2);
  if (!ALWAYS_ERHUA.has(word) && (NEVER_ERHUA.has(word) || /^(?:a|j|nr)$/.test(tag))) return changed;
  const merges = /^er[25]$/.test(spell(changed[end]!)) && !NEVER_ERHUA.has(word.slice(-2)) && end > 0;
  if (merges) changed[end] = withTone(syllable('er5'), toneOf(changed[end - 1]!));
  return changed;
}
