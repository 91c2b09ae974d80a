import type { SpokenSpan } from '../jobs/speech-queue.js';

/** When each character of a text is heard, in seconds from the beginning; one begins where the one before ends. */
export interface Alignment {
  readonly characters: string[];
  readonly startSeconds: number[];
  readonly endSeconds: number[];
  /** The words of the text, as far as their sound is known apart; UTF-16 offsets. */
  readonly words: readonly AlignedWord[];
}

export interface AlignedWord {
  readonly start: number;
  readonly end: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** A stretch of text whose sound is known: UTF-16 offsets, seconds. */
export interface TimedSpan extends AlignedWord {
  readonly startsWord: boolean;
}

/** Spans in seconds, of speech that begins at `fromSeconds`. */
export function timedSpans(spoken: readonly SpokenSpan[], sampleRateHz: number, fromSeconds = 0): readonly TimedSpan[] {
  return spoken.map(({ startSample, endSample, ...place }) => ({
    ...place,
    startSeconds: fromSeconds + startSample / sampleRateHz,
    endSeconds: fromSeconds + endSample / sampleRateHz,
  }));
}

/**
 * The characters of a text over the time from `startSeconds` to `endSeconds`: those of a span share its time evenly, those
 * between two spans (spaces, marks that are not spoken) have the time between them, which otherwise belongs to the span
 * before. Without spans all of it is even. `offset` is where in the text of the spans this one begins. Units of the text
 * that are `markup` have no time: what only they stand for belongs to the span before, a pause in front of all text to nobody.
 */
export function alignText(
  text: string,
  { startSeconds, endSeconds }: { readonly startSeconds: number; readonly endSeconds: number },
  spans: readonly TimedSpan[] = [],
  { offset = 0, markup = new Uint8Array(text.length) }: { readonly offset?: number; readonly markup?: Uint8Array } = {},
): Alignment {
  const aligned = { characters: [] as string[], startSeconds: [] as number[], endSeconds: [] as number[] };
  const words: { start: number; end: number; startSeconds: number; endSeconds: number }[] = [];
  let at = 0;
  let seconds = startSeconds;
  const give = (to: number, untilSeconds: number): void => {
    const until = Math.min(endSeconds, Math.max(seconds, untilSeconds));
    spread(aligned, [...text.slice(at, to)], markup.subarray(at, to), seconds, until);
    at = to;
    seconds = until;
  };
  const meets = (end: number, start: number) => start <= end || !markup.subarray(end, start).includes(0);
  const placed = placedIn(text, spans, offset);
  for (const [index, { start, end, ...span }] of placed.entries()) {
    if (end <= at) continue;
    if (start > at) give(start, span.startSeconds);
    const next = placed[index + 1];
    const touches = meets(end, next?.start ?? text.length);
    const until = touches ? (next?.startSeconds ?? endSeconds) : span.endSeconds;
    const began = seconds;
    give(end, until);
    if (!/[\p{L}\p{N}]/u.test(text.slice(start, end))) continue;
    const times = {
      startSeconds: round(began),
      endSeconds: round(Math.min(seconds, Math.max(began, span.endSeconds))),
    };
    const word = words.at(-1);
    if (word !== undefined && !span.startsWord && meets(word.end, start)) {
      Object.assign(word, { end, endSeconds: times.endSeconds });
    } else words.push({ start, end, ...times });
  }
  if (at < text.length) give(text.length, endSeconds);
  return { ...aligned, words };
}

/** Spans by their places in a text, as far as they are in it and behind one another. */
function placedIn(text: string, spans: readonly TimedSpan[], offset: number): TimedSpan[] {
  const placed: TimedSpan[] = [];
  let at = 0;
  for (const span of spans) {
    const start = wholeCharacters(text, Math.max(at, span.start - offset));
    const end = wholeCharacters(text, Math.min(text.length, span.end - offset));
    if (end <= start) continue;
    placed.push({ ...span, start, end });
    at = end;
  }
  return placed;
}

/** A place that is not between the two halves of a character. */
function wholeCharacters(text: string, at: number): number {
  return at > 0 && /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(at - 1, at + 1)) ? at + 1 : at;
}

/** Gives characters a stretch of time, of which spaces and marks have none beside others. */
function spread(
  aligned: Pick<Alignment, 'characters' | 'startSeconds' | 'endSeconds'>,
  characters: readonly string[],
  markup: Uint8Array,
  startSeconds: number,
  endSeconds: number,
): void {
  let unit = 0;
  const text = characters.map((character) => {
    unit += character.length;
    return markup[unit - 1] === 1 ? 0 : 1;
  });
  const sounding = characters.map((character, i) => (text[i] && /[\p{L}\p{N}\p{S}]/u.test(character) ? 1 : 0));
  const weights = sounding.includes(1) ? sounding : text;
  // Of nothing but markup: none.
  const total = weights.reduce((sum: number, weight) => sum + weight, 0) || 1;
  let passed = 0;
  for (const [index, character] of characters.entries()) {
    aligned.characters.push(character);
    aligned.startSeconds.push(round(startSeconds + ((endSeconds - startSeconds) * passed) / total));
    passed += weights[index] ?? 0;
    aligned.endSeconds.push(round(startSeconds + ((endSeconds - startSeconds) * passed) / total));
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
