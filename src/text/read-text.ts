import { AppError } from '../errors.js';
import { applyInlineReadings } from './inline-readings.js';
import type { FixedReading, LanguageMode, SymbolVersion } from './language.js';
import { requireKnownScripts } from './language-spans.js';
import { applyLexicon, type CompiledLexicon } from './lexicon.js';
import { cutSentences, requireReadable, type SplitMethod } from './sentences.js';
import { SourceText } from './source-text.js';
import { type Delivery, type MarkedUp, readSsml } from './ssml.js';

/** One sentence, or piece of one, to be spoken in one go. */
export interface SpokenText {
  readonly type: 'text';
  readonly text: SourceText;
  /** Readings decided by lexicon, text or markup. */
  readonly readings: readonly FixedReading[];
  readonly delivery: Delivery;
  /** Whether it goes straight on in what follows, only said differently: no pause between. */
  readonly continues: boolean;
}

/** What is done for a request, in order. */
export type SpeechItem =
  | SpokenText
  | { readonly type: 'break'; readonly durationMs: number }
  /** Something the caller wants to hear of when speech reaches it; `at` is its place in the caller's text. */
  | { readonly type: 'mark'; readonly name: string; readonly at: number };

export interface ReadOptions {
  /** Absent: plain text. */
  readonly inputType?: 'text' | 'ssml';
  readonly language: LanguageMode;
  readonly symbols?: SymbolVersion;
  readonly method: SplitMethod;
  readonly lexicon?: CompiledLexicon | null;
}

/**
 * What is to be spoken for a text or SSML document: its sentences with the readings that were decided and the manner they
 * are said in, breaks, and marks. Offsets of all parts are those of the text or document itself.
 *
 * Throws TEXT_EMPTY, TEXT_UNREADABLE, LANGUAGE_UNSUPPORTED and SSML_INVALID, before anything is spoken.
 */
export async function* readText(written: string, options: ReadOptions): AsyncGenerator<SpeechItem, void, undefined> {
  const { inputType = 'text', language } = options;
  if (inputType === 'text') {
    const delivery: Delivery = { language, rate: 1, volumeDb: 0, pitchSemitones: 0, voice: null, style: null };
    requireReadable(written);
    requireKnownScripts(written, language, options.symbols);
    yield* readStretch(
      { type: 'text', text: SourceText.of(written), readings: [], delivery, endsSentence: true },
      options,
    );
    return;
  }
  if (written.trim() === '') throw new AppError('TEXT_EMPTY', 'the document is empty; expected <speak>…</speak>');
  const parts = await readSsml(written, language);
  requireReadable(parts.map((part) => (part.type === 'text' ? part.text.text : '')).join(' '));
  const spoken = parts.filter((part) => part.type !== 'text' || /[\p{L}\p{N}_]/u.test(part.text.text));
  for (const part of spoken) {
    if (part.type === 'text') requireKnownScripts(part.text.text, part.delivery.language, options.symbols);
  }
  for (const part of spoken) {
    if (part.type === 'text') yield* readStretch(part, options);
    else yield part;
  }
}

async function* readStretch(
  part: MarkedUp & { readonly type: 'text' },
  options: ReadOptions,
): AsyncGenerator<SpokenText, void, undefined> {
  const { language } = part.delivery;
  const inline = await applyInlineReadings(part.text, language);
  const decided = [...part.readings, ...inline.readings];
  const looked = options.lexicon
    ? await applyLexicon(inline.text, options.lexicon, language, decided)
    : { text: inline.text, readings: [], whole: [] };
  // What a lexicon puts in is checked like what the caller wrote.
  if (looked.whole.length > 0) requireKnownScripts(looked.text.text, language, options.symbols);
  const readings = [...decided, ...looked.readings].sort((a, b) => a.start - b.start);
  const whole = [...part.readings.map(({ start, end }) => [start, end] as const), ...inline.whole, ...looked.whole];
  const sentences = cutSentences(looked.text, {
    method: options.method,
    language,
    whole: whole.sort((a, b) => a[0] - b[0]),
    continues: !part.endsSentence,
  })[Symbol.iterator]();
  for (let next = sentences.next(); !next.done; ) {
    const text = next.value;
    next = sentences.next();
    const [start, end] = text.sourceRange(0, text.length);
    yield {
      type: 'text',
      text,
      readings: readings.filter((reading) => reading.start < end && reading.end > start),
      delivery: part.delivery,
      continues: !part.endsSentence && next.done === true,
    };
  }
}
