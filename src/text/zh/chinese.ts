import type { LanguagePhonemes, SymbolVersion } from '../language.js';
import { applyErhua } from './erhua.js';
import { normalizeChinese, normalizeWithPauses } from './normalization.js';
import { resolvePolyphones } from './polyphones.js';
import { segmentWords } from './segmentation.js';
import { readWord, symbolsOf, toneOf, withTone } from './syllables.js';
import { applySandhi, mergeForSandhi } from './tone-sandhi.js';
import { toneOfYi } from './yi-tone.js';

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
    const words = segmentWords(segment);
    const decided = resolvePolyphones(segment, words);
    let begin = 0;
    for (const { word, tag } of mergeForSandhi(words)) {
      const offset = begin;
      begin += word.length;
      const readings = readWord(word).map((reading, i) => decided.get(offset + i) ?? reading);
      let syllables = applySandhi(word, tag, readings, (i) => decided.has(offset + i));
      if (options.symbols === 'v2') syllables = applyErhua(word, tag, syllables);
      syllables = syllables.map((syllable, i) => withTone(syllable, toneOfYi(segment, offset + i) ?? toneOf(syllable)));
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
