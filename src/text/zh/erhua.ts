import { type Syllable, spell, syllable, toneOf, withTone } from './syllables.js';
import { ALWAYS_ERHUA, NEVER_ERHUA } from './wordlists.js';

/**
 * Gives a 儿 that only colours the syllable before it that syllable's tone (v2 models only): at the end of a word (花儿
 * stays hua1 er2, 一会儿 becomes hui4 er4) as upstream does, and inside one (馅儿饼, 片儿警), where it is not a child's.
 * upstream: text/chinese2.py _merge_erhua
 */
export function applyErhua(word: string, tag: string, syllables: readonly Syllable[]): Syllable[] {
  const changed = [...syllables];
  const end = word.length - 1;
  for (let i = 1; i < end; i++) {
    if (word[i] !== '儿' || !spell(changed[i]!).startsWith('er') || toneOf(changed[i]!) === 1) continue;
    if (!isChild(word.slice(0, i + 1)) && !CHILD_WORD.test(word.slice(i))) changed[i] = coloured(changed[i - 1]!);
  }
  if (!word.endsWith('儿') || !spell(changed[end]!).startsWith('er')) return changed;
  if (toneOf(changed[end]!) === 1) changed[end] = withTone(changed[end]!, 2);
  const isSmall = SMALL_CREATURE.test(word);
  if (!isSmall && !ALWAYS_ERHUA.has(word) && (NEVER_ERHUA.has(word) || /^(?:a|j|nr)$/.test(tag))) return changed;
  const merges = /^er[25]$/.test(spell(changed[end]!)) && (isSmall || !NEVER_ERHUA.has(word.slice(-2))) && end > 0;
  if (merges) changed[end] = coloured(changed[end - 1]!);
  return changed;
}

function coloured(before: Syllable): Syllable {
  return withTone(syllable('er5'), toneOf(before));
}

/** Whether the 儿 that ends this part of a word is a syllable of its own. */
function isChild(part: string): boolean {
  return (
    NEVER_ERHUA.has(part) || NEVER_ERHUA.has(part.slice(-2)) || /[婴幼女少小孤胎患健男宠弃产生育托弱孙侄]儿$/.test(part)
  );
}

/** 儿 with what follows it: children, not a sound. */
const CHILD_WORD = /^儿(?:童|子|女|媳|孙|科|歌|戏|时|郎|臣|皇帝|化)/;

/** 猫儿 alone has two syllables, as in verse; 小猫儿 is how people speak. */
const SMALL_CREATURE = /小(?:猫|狗|猪|马|鸟|虫|花|鱼)儿$/;
