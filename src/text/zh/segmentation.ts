import { splitUnknownWords } from './cutter.js';
import { type Dictionary, frequencyOf, getDictionary, tagOf } from './dictionary.js';
import { type TaggedWord, tagUnknownWords } from './tagger.js';
import { childOf } from './trie.js';

/**
 * Segments and tags normalised Chinese text (Han characters and the marks `! ? … , . -`) exactly as jieba 0.42's
 * `posseg.lcut` does: best dictionary path, then the tagging HMM over what stayed single characters.
 */
export function segmentWords(text: string): TaggedWord[] {
  const dictionary = getDictionary();
  const words: TaggedWord[] = [];
  // jieba cuts at everything outside Han, letters, digits and `+ # & . _`; of our marks only the full stop stays inside.
  for (const [block] of text.matchAll(/[\u4e00-\u9fa5.]+|[^\u4e00-\u9fa5.]/g)) {
    if (/[\u4e00-\u9fa5.]/.test(block)) segmentBlock(dictionary, block, words);
    else words.push({ word: block, tag: 'x' });
  }
  return words;
}

/**
 * jieba_fast's `cut_for_search`: the words of a text, each preceded by the two- and three-character dictionary words
 * inside it.
 */
export function searchWords(text: string): string[] {
  const dictionary = getDictionary();
  const found: string[] = [];
  for (const word of cutWords(dictionary, text)) {
    for (const size of [2, 3]) {
      if (word.length <= size) continue;
      for (let i = 0; i + size <= word.length; i++) {
        const part = word.slice(i, i + size);
        if (frequencyOf(dictionary, part) > 0) found.push(part);
      }
    }
    found.push(word);
  }
  return found;
}

function segmentBlock(dictionary: Dictionary, block: string, words: TaggedWord[]): void {
  const ends = bestPath(dictionary, block, 'longest');
  let singles = '';
  const flush = (): void => {
    if (singles.length > 1 && frequencyOf(dictionary, singles) === 0) tagDetail(singles, words);
    else for (const character of singles) words.push({ word: character, tag: tagOf(dictionary, character) });
    singles = '';
  };
  for (let begin = 0; begin < block.length; begin = ends[begin]!) {
    const end = ends[begin]!;
    if (end - begin === 1) singles += block[begin];
    else {
      flush();
      const word = block.slice(begin, end);
      words.push({ word, tag: tagOf(dictionary, word) });
    }
  }
  flush();
}

function tagDetail(singles: string, words: TaggedWord[]): void {
  for (const [run] of singles.matchAll(/[\u4e00-\u9fa5]+|\.+/g)) {
    if (run[0] === '.') words.push({ word: run, tag: 'm' });
    else for (const word of tagUnknownWords(run)) words.push(word);
  }
}

/** jieba_fast's `cut`, which differs from the tagged one in its ties and in using the plain word-boundary HMM. */
function cutWords(dictionary: Dictionary, text: string): string[] {
  const words: string[] = [];
  for (const [block] of text.matchAll(/[\u4e00-\u9fa5.]+|[^\u4e00-\u9fa5.]/g)) {
    if (!/[\u4e00-\u9fa5.]/.test(block)) {
      words.push(block);
      continue;
    }
    const ends = bestPath(dictionary, block, 'shortest');
    let singles = '';
    const flush = (): void => {
      if (singles.length > 1 && frequencyOf(dictionary, singles) === 0) {
        for (const [run] of singles.matchAll(/[\u4e00-\u9fa5]+|\.+/g)) {
          if (run[0] === '.') words.push(run);
          else for (const word of splitUnknownWords(run)) words.push(word);
        }
      } else for (const character of singles) words.push(character);
      singles = '';
    };
    for (let begin = 0; begin < block.length; begin = ends[begin]!) {
      const end = ends[begin]!;
      if (end - begin === 1) singles += block[begin];
      else {
        flush();
        words.push(block.slice(begin, end));
      }
    }
    flush();
  }
  return words;
}

/** jieba_fast looks at no more than this many dictionary words from one position (its plain cut only). */
const WORDS_FROM_ONE_POSITION = 12;

/**
 * The most probable split into dictionary words: for each position the end of the best word that begins there. Of
 * equally probable words the longest wins in Python's `calc`, the shortest in jieba_fast's C code.
 */
function bestPath(dictionary: Dictionary, block: string, ties: 'longest' | 'shortest'): Uint32Array {
  const { trie, frequencies, logTotal } = dictionary;
  const length = block.length;
  const scores = new Float64Array(length + 1);
  const ends = new Uint32Array(length + 1);
  for (let begin = length - 1; begin >= 0; begin--) {
    let best = Number.NEGATIVE_INFINITY;
    let bestEnd = begin + 1;
    let node = 0;
    let seen = 0;
    for (let end = begin + 1; end <= length; end++) {
      node = childOf(trie, node, block.charCodeAt(end - 1));
      if (node === 0) break;
      const frequency = frequencies[node]!;
      if (frequency === 0) continue;
      if (ties === 'shortest' && ++seen > WORDS_FROM_ONE_POSITION) break;
      const score = Math.log(frequency) - logTotal + scores[end]!;
      if (ties === 'longest' ? score >= best : score > best) {
        best = score;
        bestEnd = end;
      }
    }
    if (best === Number.NEGATIVE_INFINITY) best = 0 - logTotal + scores[begin + 1]!;
    scores[begin] = best;
    ends[begin] = bestEnd;
  }
  return ends;
}
