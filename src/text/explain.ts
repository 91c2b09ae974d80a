import { type PhonemeOptions, readText, type SpeechItem, textToPhonemes } from './frontend.js';
import type { Language, PhonemeSentence, SpokenUnit } from './language.js';
import type { ReadOptions } from './read-text.js';
import type { Delivery } from './ssml.js';

/** Why a text is read as it is: what `timbre text explain` shows. Offsets are those of the caller's text. */
export type Explanation = readonly ExplainedItem[];

export type ExplainedItem =
  | {
      readonly type: 'sentence';
      readonly text: string;
      readonly start: number;
      readonly end: number;
      readonly delivery: Delivery;
      readonly spans: readonly ExplainedSpan[];
    }
  | Exclude<SpeechItem, { readonly type: 'text' }>;

/** A stretch that is read in one language. */
export interface ExplainedSpan {
  readonly language: Language;
  readonly text: string;
  readonly normalizedText: string;
  readonly words: readonly ExplainedWord[];
}

export interface ExplainedWord {
  /** As it is read, and as it was written. */
  readonly text: string;
  readonly written: string;
  readonly start: number;
  readonly end: number;
  readonly reading: string;
  /** What decided the reading: one rule, or several for the parts of a word. */
  readonly rule: string;
  readonly phonemes: readonly string[];
}

/** Reads a text as synthesis does, and says for each word what it is read as and by which rule. */
export async function explainText(
  text: string,
  options: ReadOptions & Pick<PhonemeOptions, 'symbols' | 'polyphones'>,
): Promise<Explanation> {
  const items: ExplainedItem[] = [];
  for await (const item of readText(text, options)) {
    if (item.type !== 'text') {
      items.push(item);
      continue;
    }
    const { delivery, readings } = item;
    const sentence = await textToPhonemes(item.text, {
      language: delivery.language,
      symbols: options.symbols,
      readings,
      polyphones: options.polyphones ?? null,
    });
    const [start, end] = item.text.sourceRange(0, item.text.length);
    items.push({ type: 'sentence', text: item.text.text, start, end, delivery, spans: spansOf(sentence, text) });
  }
  return items;
}

function spansOf(sentence: PhonemeSentence, source: string): ExplainedSpan[] {
  return sentence.segments.map(({ language, text, normalizedText, units, phonemes }) => {
    const words: ExplainedWord[] = [];
    let first = 0;
    for (const parts of wordsOf(units)) {
      const count = parts.reduce((sum, { phonemeCount }) => sum + phonemeCount, 0);
      const start = parts[0]?.start ?? 0;
      const end = Math.max(start, ...parts.map((part) => part.end));
      words.push({
        text: parts.map((part) => part.text).join(''),
        written: source.slice(start, end),
        start,
        end,
        reading: parts.map(({ reading }) => reading).join(' '),
        rule: [...new Set(parts.map(({ rule }) => rule))].join('; '),
        phonemes: phonemes.slice(first, first + count),
      });
      first += count;
    }
    return { language, text, normalizedText, words: words.filter(({ reading }) => reading.trim() !== '') };
  });
}

function* wordsOf(units: readonly SpokenUnit[]): Generator<SpokenUnit[]> {
  let word: SpokenUnit[] = [];
  for (const unit of units) {
    const borders = unit.startsWord || unit.reading === '' || word.at(-1)?.reading === '';
    if (word.length > 0 && borders) {
      yield word;
      word = [];
    }
    word.push(unit);
  }
  if (word.length > 0) yield word;
}
