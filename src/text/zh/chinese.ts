import type { LanguagePhonemes, SymbolVersion } from '../language.js';
import { applyErhua } from './erhua.js';
import { normalizeChinese, normalizeWithPauses } from './normalization.js';
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
  const { normalizedText, pauseSymbol } = normalizeWithPauses(text);
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
    phonemes: pauseSymbol ? phonemes.map((symbol) => (symbol === ',' ? pauseSymbol : symbol)) : phonemes,
    word2ph,
  };
}
