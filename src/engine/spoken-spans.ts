import type { PhonemeSentence } from '../text/language.js';
import type { SourceText } from '../text/source-text.js';
import type { SpokenSpan } from './engine-types.js';

/**
 * When which stretch of the request's text is heard, of one sentence: the units of the front end by the samples at which
 * their phonemes begin (`phonemeStarts`, with the end of the last one). What the front end put in goes to the stretch
 * before it (to the first one at the beginning); stretches that overlap, or stand in another order than they are said in
 * ("$3": three dollars), are one.
 */
export function spokenSpans(
  { units }: Pick<PhonemeSentence, 'units'>,
  text: SourceText,
  phonemeStarts: ArrayLike<number>,
): SpokenSpan[] {
  const spans: { start: number; end: number; startSample: number; endSample: number; startsWord: boolean }[] = [];
  let phoneme = 0;
  let last = 0;
  for (const unit of units) {
    const startSample = phonemeStarts[phoneme] ?? last;
    phoneme += unit.phonemeCount;
    const endSample = phonemeStarts[phoneme] ?? startSample;
    last = endSample;
    const [start, end] = text.sourceRange(unit.start, unit.end);
    let before = spans.at(-1);
    if (end <= start || (before !== undefined && start >= before.start && end <= before.end)) {
      if (before !== undefined) before.endSample = endSample;
      continue;
    }
    const span = { start, end, startSample, endSample, startsWord: unit.startsWord };
    while (before !== undefined && span.start < before.end) {
      Object.assign(span, {
        start: Math.min(span.start, before.start),
        end: Math.max(span.end, before.end),
        startSample: before.startSample,
        startsWord: before.startsWord,
      });
      spans.pop();
      before = spans.at(-1);
    }
    spans.push(span);
  }
  const [first] = spans;
  if (first !== undefined) first.startSample = phonemeStarts[0] ?? first.startSample;
  return spans;
}
