import { AppError } from '../errors.js';
import { breathLength, chunk30, chunkText, type MaxLength, type Stretch, type TextChunk } from './chunks.js';
import type { LanguageMode, SymbolVersion } from './language.js';
import { requireKnownScripts } from './language-spans.js';
import { Segmenter } from './segmenter.js';
import { SourceText } from './source-text.js';

/**
 * How a text is cut into sentences: our own two, and upstream's six. `sentence` cuts at sentence ends, and long sentences
 * into phrases of a breath's length (30 Chinese characters, about as much in other scripts); `chunk30` keeps every piece
 * within 30 characters of any script. cut0 leaves the text whole, cut1 takes four clauses at a time, cut2 about fifty
 * characters, cut3 cuts at the Chinese full stop, cut4 at the English one, cut5 at every punctuation mark.
 */
export const SPLIT_METHODS = ['sentence', 'chunk30', 'cut0', 'cut1', 'cut2', 'cut3', 'cut4', 'cut5'] as const;

export type SplitMethod = (typeof SPLIT_METHODS)[number];

/**
 * Cuts a text into the sentences that are synthesised one by one. Repeated marks become one, a very short opening gets
 * a full stop in front, pieces without letters or digits are dropped, short ones join a neighbour, and each ends in a
 * mark. Lengths count characters (code points). Throws TEXT_EMPTY when there is no text and TEXT_UNREADABLE when nothing
 * in it can be read, and LANGUAGE_UNSUPPORTED for words in a script that the mode, or a language that a model with these
 * symbols, does not read, before any is spoken.
 * upstream: TTS_infer_pack/TextPreprocessor.py preprocess, pre_seg_text
 */
export function splitSentences(
  text: string,
  { method, language, symbols }: { method: SplitMethod; language: LanguageMode; symbols?: SymbolVersion },
): string[] {
  requireReadable(text);
  requireKnownScripts(text, language, symbols);
  return Array.from(cutSentences(SourceText.of(text), { method, language }), (sentence) => sentence.text);
}

/**
 * As splitSentences, for a text that knows its source and has been checked; our own two methods cut it as it is asked
 * for, so that a long text does not keep its first sentence waiting. Stretches of the source named as `whole` are not cut
 * by them. `continues`: the text goes on in another voice or manner, so that its end is not a sentence's.
 */
export function cutSentences(
  text: SourceText,
  {
    method,
    language,
    whole = [],
    continues = false,
  }: {
    readonly method: SplitMethod;
    readonly language: LanguageMode;
    readonly whole?: readonly Stretch[];
    readonly continues?: boolean;
  },
): Iterable<SourceText> {
  const tidy = text.replace(/\r\n?/g, '\n').replace(/([!?…,.-])[!?…,.-]+/g, '$1');
  const sentences =
    method !== 'sentence' && method !== 'chunk30'
      ? aligned(preSegment(tidy.text, { method, language }), tidy)
      : cutAsNeeded(tidy, { method, language, whole, continues });
  // The full stop in front of a short opening makes no decimal of a number: 5km, 1,234 people.
  return /^\s*\d/.test(tidy.text) ? withStopApart(sentences) : sentences;
}

function* withStopApart(sentences: Iterable<SourceText>): Generator<SourceText> {
  let isFirst = true;
  for (const sentence of sentences) {
    yield isFirst ? sentence.replace(/^\.(?=\d)/, '. ') : sentence;
    isFirst = false;
  }
}

/** Throws TEXT_EMPTY or TEXT_UNREADABLE unless the text holds at least one letter or digit. */
export function requireReadable(text: string): void {
  if (text.trim() === '') {
    throw new AppError('TEXT_EMPTY', 'the text is empty; expected at least one word to speak');
  }
  if (!READABLE.test(text)) {
    const seen = /\p{Extended_Pictographic}/u.test(text)
      ? 'only emoji and symbols'
      : /^[\p{C}\p{Z}]+$/u.test(text)
        ? 'only control or invisible characters'
        : 'only punctuation';
    throw new AppError('TEXT_UNREADABLE', `the text holds ${seen}; expected at least one letter or digit to speak`);
  }
}

/** Keeps the first of several marks in a row. upstream: TextPreprocessor.replace_consecutive_punctuation */
export function collapsePunctuation(text: string): string {
  return text.replace(/([!?…,.-])[!?…,.-]+/g, '$1');
}

/** upstream: TextPreprocessor.pre_seg_text, after whose name the reference data calls it. */
export function preSegment(
  text: string,
  { method, language }: { method: SplitMethod; language: LanguageMode },
): string[] {
  if (method === 'chunk30' || method === 'sentence') {
    return Array.from(cutAsNeeded(SourceText.of(text), { method, language }), (sentence) => sentence.text);
  }
  const stop = language === 'en' ? '.' : '。';
  let whole = trimNewlines(text);
  if (whole === '') return [];
  if (hasShortOpening(whole)) whole = stop + whole;
  const pieces = cutText(whole, method)
    .split(/\n+/)
    .filter((piece) => piece !== '' && piece !== ' ');
  const sentences: string[] = [];
  for (const merged of mergeShort(pieces, 5)) {
    if (!READABLE.test(merged)) continue;
    const ended = ENDS.has(lastCharacter(merged)) ? merged : merged + stop;
    if (characters(ended).length > MAX_SENTENCE) sentences.push(...splitBigText(ended, MAX_SENTENCE));
    else sentences.push(ended);
  }
  return sentences;
}

function* cutAsNeeded(
  text: SourceText,
  {
    method,
    language,
    whole = [],
    continues = false,
  }: {
    readonly method: 'chunk30' | 'sentence';
    readonly language: LanguageMode;
    readonly whole?: readonly Stretch[];
    readonly continues?: boolean;
  },
): Generator<SourceText> {
  const stop = language === 'en' ? '.' : '。';
  const start = text.length - trimStartOf(text.text).length;
  const trimmed = text.slice(start, start + trimNewlines(text.text).length);
  if (trimmed.length === 0) return;
  const opened = hasShortOpening(trimmed.text) ? trimmed.between(stop, '') : trimmed;
  const maxLength = method === 'chunk30' ? 30 : breathLength;
  yield* closeChunks(opened, { stop, maxLength, whole, continues });
}

/** A short opening before the first mark ("好，…") is swallowed by the model unless a pause precedes it. */
function hasShortOpening(text: string): boolean {
  return !ENDS.has(firstCharacter(text)) && characters(openingOf(text)).length < 4;
}

/** The pieces that a method of upstream's made of a text, with their places in it: it drops marks, and puts some in. */
function aligned(pieces: readonly string[], text: SourceText): SourceText[] {
  let at = 0;
  return pieces.map((piece) => {
    const parts: SourceText[] = [];
    let from = at;
    let added = '';
    for (const character of piece.split('')) {
      if (text.text[at] !== character) {
        const reach = ENDS.has(character) ? 2 : 200;
        const found = text.text.slice(at, at + reach).indexOf(character);
        if (found < 0) {
          added += character;
          continue;
        }
        parts.push(text.slice(from, at));
        at += found;
        from = at;
      }
      if (added !== '') {
        parts.push(text.slice(from, at).between('', added));
        from = at;
        added = '';
      }
      at++;
    }
    parts.push(text.slice(from, at).between('', added));
    return SourceText.join(parts.filter((part) => part.length > 0));
  });
}

/** The pieces of one method, joined by newlines as upstream returns them. upstream: text_segmentation_method.py */
export function cutText(text: string, method: SplitMethod): string {
  switch (method) {
    case 'cut0':
      return isOnlyMarks(text) ? '\n' : text;
    case 'cut1':
      return cutEveryFour(text);
    case 'cut2':
      return cutAtFifty(text);
    case 'cut3':
      return joinReadable(trimOf(trimNewlines(text), '。').split('。'));
    case 'cut4':
      return joinReadable(trimOf(trimNewlines(text), '.').split(/(?<!\p{Nd})\.(?!\p{Nd})/u));
    case 'cut5':
      return cutAtMarks(text);
    case 'chunk30':
      return chunk30(text).join('\n');
    case 'sentence':
      return chunkText(text, breathLength(text))
        .map((chunk) => chunk.text)
        .join('\n');
  }
}

/**
 * Joins pieces until each has at least `threshold` characters; a short rest joins the last one.
 * upstream: TextPreprocessor.py merge_short_text_in_array
 */
export function mergeShort(pieces: readonly string[], threshold: number): string[] {
  if (pieces.length < 2) return [...pieces];
  const merged: string[] = [];
  let pending = '';
  for (const piece of pieces) {
    pending += piece;
    if (characters(pending).length >= threshold) {
      merged.push(pending);
      pending = '';
    }
  }
  if (pending !== '') {
    const last = merged.pop();
    merged.push((last ?? '') + pending);
  }
  return merged;
}

/**
 * Packs clauses into pieces of at most `maxLength` characters where marks allow it.
 * upstream: text_segmentation_method.py split_big_text
 */
export function splitBigText(text: string, maxLength: number): string[] {
  const pieces: string[] = [];
  let current = '';
  let currentLength = 0;
  for (const part of text.split(/([，。？！,.?!~:：—…])/)) {
    const partLength = characters(part).length;
    if (currentLength + partLength > maxLength) {
      pieces.push(current);
      current = part;
      currentLength = partLength;
    } else {
      current += part;
      currentLength += partLength;
    }
  }
  if (current !== '') pieces.push(current);
  return pieces;
}

/**
 * Streaming pieces with a closing mark each, so that the model ends its breath there: a full stop at a sentence's end,
 * a comma inside one. One character is kept free for that mark.
 */
function* closeChunks(
  text: SourceText,
  {
    stop,
    maxLength,
    whole,
    continues,
  }: {
    readonly stop: string;
    readonly maxLength: MaxLength;
    readonly whole: readonly Stretch[];
    readonly continues: boolean;
  },
): Generator<SourceText> {
  const pause = stop === '.' ? ',' : '，';
  const room: MaxLength = typeof maxLength === 'number' ? maxLength - 1 : (part) => maxLength(part) - 1;
  const stretches = whole.map(([start, end]) => text.unitsFrom(start, end));
  let held: TextChunk | undefined;
  const closed = ({ text: written, start, end, endsSentence }: TextChunk, isLast: boolean): SourceText => {
    const piece = text.slice(start, end);
    const spoken = written.replace(/[”’"'）)】」』》〉\]}]{1,30}$/u, '');
    const last = lastCharacter(spoken);
    if (ENDS.has(last) || last === '；' || last === ';' || last === '、') return piece;
    return piece.between('', endsSentence && !(continues && isLast) ? stop : pause);
  };
  for (const chunk of chunksOf(text.text, room, stretches)) {
    if (!READABLE.test(chunk.text)) continue;
    if (held !== undefined) yield closed(held, false);
    held = chunk;
  }
  if (held !== undefined) yield closed(held, true);
}

/** A text of which only this much is cut at a time. */
const PORTION = 1000;

/** As chunkText, portion by portion where nothing asks for more than the text itself. */
function* chunksOf(text: string, maxLength: MaxLength, whole: readonly Stretch[]): Generator<TextChunk> {
  if (whole.length > 0 || text.length <= PORTION) {
    yield* chunkText(text, maxLength, whole);
    return;
  }
  const segmenter = new Segmenter({ maxLength, smallFirst: false });
  for (let at = 0; at < text.length; at += PORTION) yield* segmenter.push(text.slice(at, at + PORTION));
  yield* segmenter.end();
}

/** What can be spoken at all. upstream drops pieces without word characters (`\W+`), among which it counts `_`. */
const READABLE = /[\p{L}\p{N}_]/u;

/** BERT reads at most 512 positions, two of them its own marks. */
const MAX_SENTENCE = 510;

/** Marks that end a clause. upstream: text_segmentation_method.py splits */
const ENDS: ReadonlySet<string> = new Set('，。？！,.?!~:：—…');
/** upstream: text_segmentation_method.py punctuation */
const MARKS: ReadonlySet<string> = new Set('!?…,.- ');
const CUT5_MARKS: ReadonlySet<string> = new Set(',.;?!、，。？！：…');

/** Clauses, each with its closing mark; an unclosed last one gets a full stop. */
function clauses(text: string): string[] {
  let rest = text.replaceAll('……', '。').replaceAll('——', '，');
  if (!ENDS.has(lastCharacter(rest))) rest += '。';
  const found: string[] = [];
  let current = '';
  for (const character of rest) {
    current += character;
    if (ENDS.has(character)) {
      found.push(current);
      current = '';
    }
  }
  return found;
}

function cutEveryFour(text: string): string {
  const trimmed = trimNewlines(text);
  const parts = clauses(trimmed);
  // Upstream's last group takes everything that is left, so 5 to 8 clauses are one group of four and one of the rest,
  // but the start of the last group is dropped from the list of cuts: the final group is only used as an end.
  const starts: number[] = [];
  for (let at = 0; at < parts.length; at += 4) starts.push(at);
  if (starts.length < 2) return joinReadable([trimmed]);
  const groups = starts
    .slice(0, -1)
    .map((start, i) => parts.slice(start, i + 2 < starts.length ? starts[i + 1] : undefined).join(''));
  return joinReadable(groups);
}

function cutAtFifty(text: string): string {
  const trimmed = trimNewlines(text);
  const parts = clauses(trimmed);
  if (parts.length < 2) return trimmed;
  const groups: string[] = [];
  let current = '';
  let length = 0;
  for (const part of parts) {
    length += characters(part).length;
    current += part;
    if (length > 50) {
      groups.push(current);
      current = '';
      length = 0;
    }
  }
  if (current !== '') groups.push(current);
  const last = groups.at(-1);
  const before = groups.at(-2);
  if (last !== undefined && before !== undefined && characters(last).length < 50) {
    groups.splice(-2, 2, before + last);
  }
  return joinReadable(groups);
}

function cutAtMarks(text: string): string {
  const all = characters(trimNewlines(text));
  const groups: string[] = [];
  let current = '';
  all.forEach((character, i) => {
    current += character;
    if (!CUT5_MARKS.has(character)) return;
    const inNumber = character === '.' && isDigit(all[i - 1]) && isDigit(all[i + 1]);
    if (inNumber) return;
    groups.push(current);
    current = '';
  });
  if (current !== '') groups.push(current);
  return groups.filter((group) => !characters(group).every((character) => CUT5_MARKS.has(character))).join('\n');
}

function joinReadable(pieces: readonly string[]): string {
  return pieces.filter((piece) => !isOnlyMarks(piece)).join('\n');
}

function isOnlyMarks(text: string): boolean {
  return characters(text).every((character) => MARKS.has(character));
}

/** What precedes the first clause mark. upstream: TextPreprocessor.py get_first */
function openingOf(text: string): string {
  return (text.split(/[，。？！,.?!~:：—…]/, 1)[0] ?? '').trim();
}

function trimNewlines(text: string): string {
  return trimOf(text, '\n');
}

function trimStartOf(text: string): string {
  let start = 0;
  while (text[start] === '\n') start++;
  return text.slice(start);
}

/** Strips one character from both ends, in linear time for any text. */
function trimOf(text: string, character: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text[start] === character) start++;
  while (end > start && text[end - 1] === character) end--;
  return text.slice(start, end);
}

function characters(text: string): string[] {
  return [...text];
}

function firstCharacter(text: string): string {
  const code = text.codePointAt(0);
  return code === undefined ? '' : String.fromCodePoint(code);
}

function lastCharacter(text: string): string {
  return text.at(-1) ?? '';
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && /\p{Nd}/u.test(character);
}
