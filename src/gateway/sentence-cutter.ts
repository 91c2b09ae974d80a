import type { TextChunk, TextSegmenter } from './speech-context.js';

const SENTENCE_END = /[.。！？!?\n]/;

/** Cuts at every mark that ends sentences, and nowhere else. */
export function createSentenceCutter(): TextSegmenter {
  let waiting = '';
  let offset = 0;
  const take = (length: number, endsSentence: boolean): TextChunk[] => {
    const text = waiting.slice(0, length);
    const start = offset;
    waiting = waiting.slice(length);
    offset += length;
    return text.trim() === '' ? [] : [{ text, start, end: offset, endsSentence }];
  };
  return {
    get pending() {
      return waiting.length;
    },
    push(piece) {
      waiting += piece;
      const chunks: TextChunk[] = [];
      for (let at = waiting.search(SENTENCE_END); at >= 0; at = waiting.search(SENTENCE_END))
        chunks.push(...take(at + 1, true));
      return chunks;
    },
    // Scripts without spaces may be cut anywhere.
    deadline: () => take(/[ -ÿ]$/.test(waiting) ? waiting.lastIndexOf(' ') + 1 : waiting.length, false),
    end: () => take(waiting.length, true),
  };
}
