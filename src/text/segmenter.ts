import {
  atomsOf,
  breathLength,
  joinShort,
  lengthOf,
  type MaxLength,
  mayJoin,
  piecesOf,
  SHORTEST_SENTENCE,
  type Stretch,
  sentencesOf,
  sizeOf,
  type TextChunk,
} from './chunks.js';

export interface SegmenterOptions {
  /** The most characters of a chunk; by default a breath, by the script of its sentence. */
  readonly maxLength?: MaxLength;
  /** Whether the first chunk may end at the first clause mark, so that speech begins early. Absent: yes. */
  readonly smallFirst?: boolean;
  /** Stretches of a text that are never cut, such as entries of a lexicon, and how many characters one may have. */
  readonly whole?: { readonly find: (text: string) => readonly Stretch[]; readonly longest: number };
}

/**
 * Cuts a text that arrives piece by piece, as a language model writes it, into the chunks that are spoken one by one. A
 * chunk is given as soon as no later character could change it: for the same text always the same chunks, however it
 * came in pieces, as long as no deadline is called. Offsets count from the beginning of the whole text. What is held is
 * bounded: text that nowhere ends is cut in the end.
 */
export class Segmenter {
  readonly #maxLength: MaxLength;
  readonly #whole: SegmenterOptions['whole'];
  /** True until the first chunk has been given. */
  #first: boolean;
  #buffer = '';
  /** Where the buffer begins in the whole text. */
  #offset = 0;

  constructor({ maxLength = breathLength, smallFirst = true, whole }: SegmenterOptions = {}) {
    this.#maxLength = maxLength;
    this.#first = smallFirst;
    this.#whole = whole;
  }

  /** How many characters wait for what comes next. */
  get pending(): number {
    return this.#buffer.trim().length;
  }

  /** Takes the next piece of the text; returns the chunks that are certain now. */
  push(piece: string): TextChunk[] {
    const chunks: TextChunk[] = [];
    // In the same portions however large the piece is, so that its size decides nothing.
    for (let at = 0; at < piece.length; ) {
      const room = Math.min(MAX_HELD - this.#buffer.length, PORTION);
      const portion = piece.slice(at, at + room);
      at += portion.length;
      this.#buffer += portion;
      for (let found = this.#takeCertain(); found.length > 0; found = this.#takeCertain()) chunks.push(...found);
      if (this.#buffer.length >= MAX_HELD) chunks.push(...this.end());
    }
    return chunks;
  }

  /**
   * The waiting is over: gives what can be said without breaking a word, number or tag, and keeps the rest. Where the
   * text goes on in the middle of a sentence, it was cut at the last clause mark, or the last word.
   */
  deadline(): TextChunk[] {
    const text = this.#buffer;
    const cut = lastSafeCut(this.#atoms(text));
    return /[\p{L}\p{N}]/u.test(text.slice(0, cut)) ? this.#take(cut, false) : [];
  }

  /** The text is over: gives all that is left. */
  end(): TextChunk[] {
    return this.#take(this.#buffer.length, true);
  }

  #atoms(text: string): string[] {
    return atomsOf(text, this.#whole?.find(text));
  }

  /** Gives the first `size` units of the buffer as chunks. */
  #take(upTo: number, endsSentence: boolean): TextChunk[] {
    const blank = this.#first ? this.#buffer.length - this.#buffer.trimStart().length : 0;
    this.#consume(blank, false);
    const size = Math.max(0, upTo - blank);
    const text = this.#buffer.slice(0, size);
    const sentences = joinShort(this.#sentences(this.#atoms(text)), this.#maxLength);
    const chunks: TextChunk[] = [];
    let at = this.#offset;
    for (const sentence of sentences) {
      chunks.push(...piecesOf(sentence, this.#maxLength, at));
      at += sizeOf(sentence);
    }
    this.#consume(size, chunks.length > 0);
    const last = chunks.pop();
    if (last !== undefined) chunks.push(endsSentence ? last : { ...last, endsSentence: false });
    return chunks;
  }

  #takeCertain(): TextChunk[] {
    // White space in front opens nothing.
    if (this.#first) this.#consume(this.#buffer.length - this.#buffer.trimStart().length, false);
    // Nothing ends, nothing to look at more closely: most pieces of a language model are one word.
    if (this.#buffer.length < LONGEST_UNENDED && !ENDS_SOMETHING.test(this.#buffer)) return [];
    const sentences = this.#sentences(this.#atoms(this.#buffer));
    if (sentences.length < 2) return [];
    // How far the sentences are certain: behind each must stand a word, which tells that it has ended.
    let certain = 0;
    let end = 0;
    for (const sentence of sentences.slice(0, -1)) {
      if (!this.#isCertain(end + sizeOf(sentence))) break;
      end += sizeOf(sentence);
      certain++;
    }
    if (certain === 0) return [];
    if (this.#first && this.#opening(sentences[0] as string[]) !== null) {
      const opening = this.#give([sentences[0] as string[]]);
      return opening.map((chunk) => ({ ...chunk, endsSentence: false }));
    }
    const joined = joinShort(sentences.slice(0, certain), this.#maxLength);
    // The sentence behind the last of them may still join it.
    const last = joined.at(-1) ?? [];
    const length = lengthOf(sentences[certain] ?? []);
    if (mayJoin(last, length < SHORTEST_SENTENCE ? 0 : length, this.#maxLength)) joined.pop();
    return this.#give(joined);
  }

  /** Gives whole sentences from the front of the buffer. */
  #give(sentences: readonly (readonly string[])[]): TextChunk[] {
    const chunks: TextChunk[] = [];
    let size = 0;
    for (const sentence of sentences) {
      chunks.push(...piecesOf(sentence, this.#maxLength, this.#offset + size));
      size += sizeOf(sentence);
    }
    this.#consume(size, chunks.length > 0);
    return chunks;
  }

  #consume(size: number, spoken: boolean): void {
    this.#buffer = this.#buffer.slice(size);
    this.#offset += size;
    if (spoken) this.#first = false;
  }

  /** Sentences; the opening clause of the first one is cut off where that is long enough to be said alone. */
  #sentences(atoms: readonly string[]): string[][] {
    const sentences = sentencesOf(atoms);
    const [first, ...rest] = sentences;
    if (!this.#first || first === undefined) return sentences;
    const size = this.#opening(first);
    return size === null || size >= first.length ? sentences : [first.slice(0, size), first.slice(size), ...rest];
  }

  /** How many atoms the opening clause has, if a clause mark closes it and it is long enough. */
  #opening(sentence: readonly string[]): number | null {
    let length = 0;
    for (const [i, atom] of sentence.entries()) {
      if (!atom.startsWith('<')) length += /\p{Script=Han}/u.test(atom) ? 3 : [...atom].length;
      if (length >= FIRST_LENGTH && /^[，,；;：:、—…]$/u.test(atom)) return i + 1;
    }
    return null;
  }

  /** Whether nothing that may follow the buffer can move a border at `end`. */
  #isCertain(end: number): boolean {
    const rest = this.#buffer.slice(end);
    const word = rest.search(/[\p{L}\p{N}]/u);
    if (word < 0 || rest.length - word < (this.#whole?.longest ?? 0)) return false;
    const opened = Math.max(this.#buffer.lastIndexOf('<'), this.#buffer.lastIndexOf('['));
    return (
      opened < 0 || opened >= end || /[>\]\n]/.test(this.#buffer.slice(opened)) || this.#buffer.length - opened > 300
    );
  }
}

/** The opening clause has a third of this in Chinese characters, else this in letters. */
const FIRST_LENGTH = 18;
const MAX_HELD = 4000;
const ENDS_SOMETHING = /[。！？!?.…\n，,；;：:、—]/;
/** Shorter than any sentence that is cut for its length alone. */
const LONGEST_UNENDED = 400;
const PORTION = 200;

/** The longest beginning that ends at a clause mark, else between words; behind it stays what may go on. */
function lastSafeCut(atoms: readonly string[]): number {
  let at = 0;
  let mark = 0;
  let word = 0;
  for (const [i, atom] of atoms.entries()) {
    at += atom.length;
    const next = atoms[i + 1];
    if (/^[。！？!?，,；;：:、…]$/u.test(atom) && next !== undefined && !/^[\d。！？!?…”’"'）)」』]/u.test(next))
      mark = at;
    if (/^\s/.test(atom) && next !== undefined) word = at;
  }
  if (mark > 0) return mark;
  if (word > 0) return word;
  const text = atoms.join('');
  const words = [...new Intl.Segmenter('zh', { granularity: 'word' }).segment(text)];
  const last = words.at(-1);
  return last !== undefined && /^\p{Script=Han}+$/u.test(text) ? last.index : 0;
}
