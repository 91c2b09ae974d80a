import type { LanguagePhonemes, SymbolVersion } from '../language.js';
import { applyErhua } from './erhua.js';
import { normalizeChinese } from './normalization.js';
import { segmentWords } from './segmentation.js';
import { readWord, symbolsOf } from './syllables.js';
import { applySandhi, mergeForSandhi } from './tone-sandhi.js';

export { normalizeChinese };

/**
 * The phonemes of a Chinese text: normalise, cut into words, look up syllables, tone sandhi, erhua (v2), symbols.
 * `word2ph` counts the phonemes of each character of `normalizedText`. Text without anything readable gives no phonemes;
 * nothing is thrown. upstream: text/cleaner.py clean_text(text, 'zh', version) without the polyphone model
 */
export function chinesePhonemes(text: string, options: { readonly symbols: SymbolVersion }): LanguagePhonemes {
  const pause = pauseMark(text);
  const normalizedText = normalizeChinese(pause ? text.replaceAll(pause.mark, ',') : text);
  const phonemes: string[] = [];
  const word2ph: number[] = [];
  // A segment ends after each punctuation mark: words and sandhi do not reach across.
  for (const [segment] of normalizedText.matchAll(/[^!?…,.-]*[!?…,.-]|[^!?…,.-]+$/g)) {
    for (const { word, tag } of mergeForSandhi(segmentWords(segment))) {
      let syllables = applySandhi(word, tag, readWord(word));
      if (options.symbols === 'v2') syllables = applyErhua(word, tag, syllables);
      for (const syllable of syllables) {
        const symbols = symbolsOf(syllable);
        phonemes.push(...symbols);
        word2ph.push(symbols.length);
      }
    }
  }
  return {
    normalizedText,
    phonemes: pause ? phonemes.map((symbol) => (symbol === ',' ? pause.symbol : symbol)) : phonemes,
    word2ph,
  };
}

/** `￥` and `^` stand for long pauses: with either in the text every comma becomes that pause (upstream: clean_special). */
function pauseMark(text: string): { readonly mark: string; readonly symbol: string } | undefined {
  if (text.includes('￥')) return { mark: '￥', symbol: 'SP2' };
  if (text.includes('^')) return { mark: '^', symbol: 'SP3' };
  return undefined;
}
