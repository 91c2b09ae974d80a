import type { FixedReading, LanguagePhonemes, SpokenUnit, SymbolVersion } from '../language.js';
import type { PolyphonePredictor } from '../polyphones.js';
import { SourceText } from '../source-text.js';
import { applyErhua } from './erhua.js';
import { type NormalizedChinese, normalizeChinese, normalizeWithPauses } from './normalization.js';
import { type ModelReading, type PolyphoneContext, SentenceContext } from './polyphone-model.js';
import { resolvePolyphones } from './polyphones.js';
import { segmentWords } from './segmentation.js';
import {
  isPhrase,
  isSyllable,
  readWord,
  type Syllable,
  spell,
  syllable,
  symbolsOf,
  toneOf,
  withTone,
} from './syllables.js';
import { applySandhi, mergeForSandhi } from './tone-sandhi.js';
import { toneOfYi } from './yi-tone.js';

export { normalizeChinese };

/**
 * The phonemes of a Chinese text: normalise, cut into words, look up syllables, tone sandhi, erhua (v2), symbols.
 * `word2ph` counts the phonemes of each character of `normalizedText`. Text without anything readable gives no phonemes;
 * nothing is thrown. upstream: text/cleaner.py clean_text(text, 'zh', version) without the polyphone model
 */
export function chinesePhonemes(text: string | SourceText, options: ChineseOptions): LanguagePhonemes {
  const normalized = normalizeWithPauses(SourceText.of(text));
  return readNormalized(normalized, options, new SentenceContext(normalized.normalizedText.text));
}

export interface ChineseOptions {
  readonly symbols: SymbolVersion;
  readonly readings?: readonly FixedReading[];
}

/** As chinesePhonemes, with another's model in the place of our own: it is asked once, for all that is left open. */
export async function predictedPhonemes(
  text: string | SourceText,
  options: ChineseOptions,
  predictor: PolyphonePredictor,
): Promise<LanguagePhonemes> {
  const normalized = normalizeWithPauses(SourceText.of(text));
  const answers = new Map<number, ModelReading | undefined>();
  const context: PolyphoneContext = {
    rule: predictor.name,
    knows: (character) => predictor.knows(character),
    readingAt(offset) {
      if (!answers.has(offset)) answers.set(offset, undefined);
      return answers.get(offset);
    },
  };
  const unasked = readNormalized(normalized, options, context);
  if (answers.size === 0) return unasked;
  const open = [...answers.keys()];
  const predicted = await predictor.predict(normalized.normalizedText.text, open);
  open.forEach((offset, i) => {
    const answer = predicted[i];
    // A reading outside the tables is none that a voice could say.
    if (answer && isSyllable(answer.reading)) {
      answers.set(offset, { reading: syllable(answer.reading), confidence: answer.confidence });
    }
  });
  return readNormalized(normalized, options, context);
}

function readNormalized(
  { normalizedText, pauseSymbol }: NormalizedChinese,
  options: ChineseOptions,
  context: PolyphoneContext,
): LanguagePhonemes {
  const fixed = fixedReadings(normalizedText, options.readings ?? []);
  const phonemes: string[] = [];
  const word2ph: number[] = [];
  const units: SpokenUnit[] = [];
  // A segment ends after each punctuation mark: words and sandhi do not reach across.
  for (const match of normalizedText.text.matchAll(/[^!?…,.-]+[!?…,.-]?|[!?…,.-]/g)) {
    const segment = match[0];
    const words = segmentWords(segment);
    const modelled = new Set<number>();
    const decided = resolvePolyphones(segment, words, {
      knows: (character) => context.knows(character),
      readingAt(index) {
        modelled.add(index);
        return context.readingAt(match.index + index);
      },
    });
    let begin = 0;
    for (const { word, tag } of mergeForSandhi(words)) {
      const offset = begin;
      begin += word.length;
      const fixedAt = (i: number): Fixed | undefined => fixed.get(match.index + offset + i);
      const looked = readWord(word);
      const readings = looked.map((reading, i) => fixedAt(i)?.syllable ?? decided.get(offset + i) ?? reading);
      let syllables = applySandhi(word, tag, readings, (i) => decided.has(offset + i) || fixedAt(i) !== undefined);
      if (options.symbols === 'v2') syllables = applyErhua(word, tag, syllables);
      const known = word.length > 1 && isPhrase(word);
      for (let i = 0; i < syllables.length; i++) {
        const yi = toneOfYi(segment, offset + i);
        const own = fixedAt(i);
        const spoken = own?.syllable ?? withTone(syllables[i]!, yi ?? toneOf(syllables[i]!));
        const symbols = symbolsOf(spoken);
        for (const symbol of symbols) phonemes.push(pauseSymbol && symbol === ',' ? pauseSymbol : symbol);
        word2ph.push(symbols.length);
        const at = match.index + offset + i;
        const [start, end] = normalizedText.sourceRange(at, at + 1);
        units.push({
          text: word[i]!,
          start,
          end,
          phonemeCount: symbols.length,
          reading: spoken < 0 ? '' : spell(spoken),
          rule:
            own?.rule ??
            ruleOf(spoken, readings[i]!, {
              decided: decided.has(offset + i) && (modelled.has(offset + i) ? context.rule : 'context'),
              known,
              yi: yi !== undefined,
            }),
          startsWord: i === 0 || own?.opens === true || (own === undefined && fixed.has(at - 1)),
        });
      }
    }
  }
  return { normalizedText: normalizedText.text, phonemes, word2ph, units };
}

function ruleOf(
  spoken: Syllable,
  looked: Syllable,
  { decided, known, yi }: { readonly decided: string | false; readonly known: boolean; readonly yi: boolean },
): string {
  if (spoken < 0) return 'mark';
  if (yi) return 'tone of 一';
  const source = decided ? decided : known ? 'phrase' : 'character';
  if (spoken === looked) return source;
  return `${source}, ${toneOf(spoken) === 5 ? 'neutral tone' : spell(spoken).startsWith('er') ? 'erhua' : 'tone sandhi'}`;
}

interface Fixed {
  readonly syllable: Syllable;
  /** Whether its word begins here. */
  readonly opens: boolean;
  readonly rule: string;
}

/** Decided syllables by the character they stand for; one that has not a character for each syllable is passed over. */
function fixedReadings(text: SourceText, readings: readonly FixedReading[]): ReadonlyMap<number, Fixed> {
  const fixed = new Map<number, Fixed>();
  for (const { start, end, language, reading, rule } of readings) {
    if (language !== 'zh' || !reading.every(isSyllable)) continue;
    const [from, to] = text.unitsFrom(start, end);
    if (to - from !== reading.length) continue;
    for (const [i, written] of reading.entries())
      fixed.set(from + i, { syllable: syllable(written), opens: i === 0, rule });
  }
  return fixed;
}
