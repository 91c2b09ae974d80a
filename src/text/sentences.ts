import { AppError } from '../errors.js';
import { chunk30, chunkText } from './chunks.js';
import type { LanguageMode, SymbolVersion } from './language.js';
import { requireKnownScripts } from './language-spans.js';

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
  const tidy = collapsePunctuation(text.replace(/\r\n?/g, '\n'));
  return preSegment(tidy, { method, language });
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
  const stop = language === 'en' ? '.' : '。';
  let whole = trimNewlines(text);
  if (whole === '') return [];
  // A short opening before the first mark ("好，…") is swallowed by the model unless a pause precedes it.
  if (!ENDS.has(firstCharacter(whole)) && characters(openingOf(whole)).length < 4) whole = stop + whole;
  if (method === 'chunk30') return closeChunks(whole, stop, 30);
  if (method === 'sentence') return closeChunks(whole, stop, breathLength(whole));
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
function closeChunks(text: string, stop: string, maxLength: number): string[] {
  const pause = stop === '.' ? ',' : '，';
  return chunkText(text, maxLength - 1)
    .filter((chunk) => READABLE.test(chunk.text))
    .map(({ text: piece, endsSentence }) => {
      const spoken = piece.replace(/[”’"'）)】」』》〉\]}]{1,30}$/u, '');
      const last = lastCharacter(spoken);
      if (ENDS.has(last) || last === '；' || last === ';' || last === '、') return piece;
      return piece + (endsSentence ? stop : pause);
    });
}

/**
 * Characters that are said in one breath: a Chinese character is a syllable, so is a Korean one, but it is said faster and
 * with spaces between words; a syllable of English is about four letters.
 */
function breathLength(text: string): number {
  const count = (script: RegExp): number => text.match(script)?.length ?? 0;
  const length = characters(text).length;
  if (count(/\p{Script=Han}/gu) * 5 > length) return 30;
  return count(/\p{Script=Hangul}/gu) * 5 > length ? 60 : 120;
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
