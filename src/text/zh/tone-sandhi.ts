import { searchWords } from './segmentation.js';
import { readWord, type Syllable, toneOf, withTone } from './syllables.js';
import type { TaggedWord } from './tagger.js';
import { NEUTRAL_ENDING, NEVER_NEUTRAL } from './wordlists.js';

/**
 * Joins the words of a segment that tone sandhi must see together: 不 and 一 with the word after them, reduplications,
 * neighbouring third tones, 儿 with the word before it. upstream: text/tone_sandhi.py ToneSandhi.pre_merge_for_modify
 */
export function mergeForSandhi(words: readonly TaggedWord[]): TaggedWord[] {
  let merged = mergeBu(words);
  merged = mergeYi(merged);
  merged = mergeRepetitions(merged);
  merged = mergeThirdTones(merged, (before, after) => allThird(before) && allThird(after));
  merged = mergeThirdTones(merged, (before, after) => toneOf(before.at(-1)!) === 3 && toneOf(after[0]!) === 3);
  return mergeEr(merged);
}

/**
 * Changes the tones of one (merged) word: 不, 一, neutral tones, then third tones. Syllables whose context has decided their
 * reading (`isDecided`, by index) do not become neutral. upstream: text/tone_sandhi.py ToneSandhi.modified_tone
 */
export function applySandhi(
  word: string,
  tag: string,
  syllables: readonly Syllable[],
  isDecided: (index: number) => boolean = () => false,
): Syllable[] {
  const changed = [...syllables];
  applyBu(word, changed);
  applyYi(word, changed);
  applyNeutral(word, tag, changed);
  changed.forEach((code, i) => {
    if (isDecided(i) && toneOf(code) === 5) changed[i] = syllables[i]!;
  });
  applyThird(word, changed);
  return changed;
}

/** Characters that count as numerals in the tables upstream asks (Unicode's numeric property). */
const NUMERAL =
  /^[一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零]$/;
/** After 一 these do not raise it to the fourth tone; … and - do, as upstream lists them. */
const PUNCTUATION_AFTER_YI = /^[：，；。？！“”‘’':,;.?!]$/;

function mergeBu(words: readonly TaggedWord[]): TaggedWord[] {
  const merged: TaggedWord[] = [];
  let last = '';
  for (const { word, tag } of words) {
    const joined = last === '不' ? last + word : word;
    if (joined !== '不') merged.push({ word: joined, tag });
    last = joined;
  }
  if (last === '不') merged.push({ word: '不', tag: 'd' });
  return merged;
}

function mergeYi(words: readonly TaggedWord[]): TaggedWord[] {
  const repeated: TaggedWord[] = [];
  for (let i = 0; i < words.length; i++) {
    const current = words[i]!;
    const before = repeated.at(-1);
    const after = words[i + 1];
    if (
      current.word === '一' &&
      before &&
      after &&
      before.word === after.word &&
      before.tag === 'v' &&
      after.tag === 'v'
    ) {
      repeated[repeated.length - 1] = { word: `${before.word}一${after.word}`, tag: before.tag };
      i++;
    } else repeated.push(current);
  }
  const merged: TaggedWord[] = [];
  for (const current of repeated) {
    const before = merged.at(-1);
    if (before?.word === '一') merged[merged.length - 1] = { word: before.word + current.word, tag: before.tag };
    else merged.push(current);
  }
  return merged;
}

function mergeRepetitions(words: readonly TaggedWord[]): TaggedWord[] {
  const merged: TaggedWord[] = [];
  for (const current of words) {
    const before = merged.at(-1);
    if (before?.word === current.word) {
      merged[merged.length - 1] = { word: before.word + current.word, tag: before.tag };
    } else merged.push(current);
  }
  return merged;
}

function mergeThirdTones(
  words: readonly TaggedWord[],
  meet: (before: readonly Syllable[], after: readonly Syllable[]) => boolean,
): TaggedWord[] {
  const readings = words.map(({ word }) => readWord(word));
  const merged: TaggedWord[] = [];
  let joinedLast = false;
  words.forEach((current, i) => {
    const before = words[i - 1];
    const join =
      before !== undefined &&
      !joinedLast &&
      meet(readings[i - 1]!, readings[i]!) &&
      !isReduplication(before.word) &&
      before.word.length + current.word.length <= 3;
    if (join) {
      const last = merged.at(-1)!;
      merged[merged.length - 1] = { word: last.word + current.word, tag: last.tag };
    } else merged.push(current);
    joinedLast = join;
  });
  return merged;
}

function mergeEr(words: readonly TaggedWord[]): TaggedWord[] {
  const merged: TaggedWord[] = [];
  for (const current of words) {
    const before = merged.at(-1);
    if (before && current.word === '儿') merged[merged.length - 1] = { word: `${before.word}儿`, tag: before.tag };
    else merged.push(current);
  }
  return merged;
}

function applyBu(word: string, syllables: Syllable[]): void {
  if (word.length === 3 && word[1] === '不') {
    syllables[1] = withTone(syllables[1]!, 5);
    return;
  }
  for (let i = 0; i + 1 < word.length; i++) {
    if (word[i] === '不' && toneOf(syllables[i + 1]!) === 4) syllables[i] = withTone(syllables[i]!, 2);
  }
}

function applyYi(word: string, syllables: Syllable[]): void {
  if (!word.includes('一')) return;
  if ([...word].every((character) => NUMERAL.test(character))) return;
  if (word.length === 3 && word[1] === '一' && word[0] === word[2]) {
    syllables[1] = withTone(syllables[1]!, 5);
  } else if (word.startsWith('第一')) {
    syllables[1] = withTone(syllables[1]!, 1);
  } else {
    for (let i = 0; i + 1 < word.length; i++) {
      if (word[i] !== '一') continue;
      if (toneOf(syllables[i + 1]!) === 4) syllables[i] = withTone(syllables[i]!, 2);
      else if (!PUNCTUATION_AFTER_YI.test(word[i + 1]!)) syllables[i] = withTone(syllables[i]!, 4);
    }
  }
}

const NAMES_ENDING_LIKE_PARTICLES = /^滴$|.[额滴]$/;

function applyNeutral(word: string, tag: string, syllables: Syllable[]): void {
  const last = word.at(-1)!;
  const end = word.length - 1;
  for (let i = 1; i < word.length; i++) {
    if (word[i] === word[i - 1] && /^[nva]/.test(tag) && !NEVER_NEUTRAL.has(word)) {
      syllables[i] = withTone(syllables[i]!, 5);
    }
  }
  const measure = word.indexOf('个');
  if (NAMES_ENDING_LIKE_PARTICLES.test(word) && /^[nqmv]/.test(tag)) {
    // 余额, 一滴: upstream takes the last character for a particle
  } else if (/^[吧呢哈啊呐噻嘛吖嗨哦哒额滴哩哟喽啰耶喔诶的地得]$/.test(last)) {
    syllables[end] = withTone(syllables[end]!, 5);
  } else if (/^[了着过]$/.test(word) && /^u[lzg]$/.test(tag)) {
    syllables[end] = withTone(syllables[end]!, 5);
  } else if (word.length > 1 && /^[们子]$/.test(last) && /^[rn]$/.test(tag) && !NEVER_NEUTRAL.has(word)) {
    syllables[end] = withTone(syllables[end]!, 5);
  } else if (word.length > 1 && /^[上下里]$/.test(last) && /^[slf]$/.test(tag)) {
    syllables[end] = withTone(syllables[end]!, 5);
  } else if (word.length > 1 && /^[来去]$/.test(last) && /^[上下进出回过起开]$/.test(word[end - 1]!)) {
    syllables[end] = withTone(syllables[end]!, 5);
  } else if (
    word === '个' ||
    (measure >= 1 && (NUMERAL.test(word[measure - 1]!) || /^[几有两半多各整每做是]$/.test(word[measure - 1]!)))
  ) {
    syllables[measure] = withTone(syllables[measure]!, 5);
  } else if (isNeutralEnding(word)) {
    syllables[end] = withTone(syllables[end]!, 5);
  }
  const [head, tail] = splitInTwo(word);
  if (isNeutralEnding(head)) syllables[head.length - 1] = withTone(syllables[head.length - 1]!, 5);
  if (isNeutralEnding(tail)) syllables[end] = withTone(syllables[end]!, 5);
}

function isNeutralEnding(word: string): boolean {
  return NEUTRAL_ENDING.has(word) || NEUTRAL_ENDING.has(word.slice(-2));
}

function applyThird(word: string, syllables: Syllable[]): void {
  if (word.length === 2) {
    if (allThird(syllables)) syllables[0] = withTone(syllables[0]!, 2);
  } else if (word.length === 3) {
    const split = splitInTwo(word)[0].length;
    if (allThird(syllables)) {
      // Two and one (蒙古/包) raise both, one and two (纸/老虎) only the middle.
      if (split === 2) syllables[0] = withTone(syllables[0]!, 2);
      if (split === 2 || split === 1) syllables[1] = withTone(syllables[1]!, 2);
      return;
    }
    const head = syllables.slice(0, split);
    const tail = syllables.slice(split);
    if (head.length === 2 && allThird(head)) syllables[0] = withTone(syllables[0]!, 2); // 所有/人
    if (tail.length === 2 && allThird(tail)) {
      syllables[split] = withTone(syllables[split]!, 2);
    } else if (tail.length > 0 && !allThird(tail) && toneOf(tail[0]!) === 3 && toneOf(syllables[split - 1]!) === 3) {
      syllables[split - 1] = withTone(syllables[split - 1]!, 2); // 好/喜欢
    }
  } else if (word.length === 4) {
    for (const begin of [0, 2]) {
      if (allThird(syllables.slice(begin, begin + 2))) syllables[begin] = withTone(syllables[begin]!, 2);
    }
  }
}

/**
 * A word cut where its first shortest part begins or ends, e.g. 纸/老虎, 蒙古/包.
 * upstream: text/tone_sandhi.py ToneSandhi._split_word
 */
function splitInTwo(word: string): [string, string] {
  if (word.length === 1) return [word, ''];
  const parts = searchWords(word);
  const shortest = parts.reduce((best, part) => (part.length < best.length ? part : best));
  if (word.startsWith(shortest)) return [shortest, word.slice(shortest.length)];
  const cut = word.length - shortest.length;
  return [word.slice(0, cut), shortest];
}

function isReduplication(word: string): boolean {
  return word.length === 2 && word[0] === word[1];
}

function allThird(syllables: readonly Syllable[]): boolean {
  return syllables.every((code) => toneOf(code) === 3);
}
