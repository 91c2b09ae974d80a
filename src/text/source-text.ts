/**
 * A text that remembers where in its caller's text each of its characters came from, however often it is rewritten.
 *
 * It has the string methods that normalisers are made of, so that a normaliser reads as it would on a string, and
 * offsets cost no one who writes a rule a thought. What a rule rewrites as a whole points to all that it replaced
 * ("$3" behind each letter of "three dollars"), except that a beginning or ending which stayed the same keeps its own
 * place. A class against the house rule for plain data, for exactly these chains of calls.
 *
 * Offsets are UTF-16 units of the caller's text, as in JavaScript, Java, C# and the Web's own interfaces.
 */
export class SourceText {
  readonly text: string;
  /** Source begin and end of each unit; null while the text is a stretch of the source that begins at `#base`. */
  readonly #starts: Int32Array | null;
  readonly #ends: Int32Array | null;
  readonly #base: number;
  /** Where in the source what follows this text begins. */
  readonly #tail: number;

  private constructor(text: string, starts: Int32Array | null, ends: Int32Array | null, base: number, tail: number) {
    this.text = text;
    this.#starts = starts;
    this.#ends = ends;
    this.#base = base;
    this.#tail = tail;
  }

  /** A text as its caller wrote it; `offset` is where it begins in something longer. */
  static of(text: string | SourceText, offset = 0): SourceText {
    return typeof text === 'string' ? new SourceText(text, null, null, offset, offset + text.length) : text;
  }

  /** Pieces of one source, in its order, as one text. */
  static join(pieces: readonly SourceText[]): SourceText {
    const [first] = pieces;
    if (first === undefined) return SourceText.of('');
    if (pieces.length === 1) return first;
    const text = pieces.map((piece) => piece.text).join('');
    const starts = new Int32Array(text.length);
    const ends = new Int32Array(text.length);
    let at = 0;
    for (const piece of pieces) at = piece.#copy(0, piece.length, starts, ends, at);
    return new SourceText(text, starts, ends, 0, (pieces.at(-1) as SourceText).#tail);
  }

  get length(): number {
    return this.text.length;
  }

  toString(): string {
    return this.text;
  }

  /** The stretch of the source behind the units from `start` to `end`; empty for what was put in between. */
  sourceRange(start: number, end: number): readonly [start: number, end: number] {
    const begin = this.#startOf(start);
    return [begin, end > start ? Math.max(begin, this.#endOf(end - 1)) : begin];
  }

  /** The units, from–to, that came from within a stretch of the source; empty (from = to) where none did. */
  unitsFrom(sourceStart: number, sourceEnd: number): readonly [start: number, end: number] {
    const start = this.#firstUnit((i) => this.#endOf(i) > sourceStart);
    const end = this.#firstUnit((i) => this.#startOf(i) >= sourceEnd);
    return [start, Math.max(start, end)];
  }

  /** As String.replace. */
  replace(pattern: RegExp | string, replacement: string | Replacer): SourceText {
    const edits: Edit[] = [];
    const text = this.text.replace(pattern as RegExp, (...args: unknown[]) => {
      const match = args[0] as string;
      const named = typeof args.at(-1) === 'object';
      const at = args[args.length - (named ? 3 : 2)] as number;
      const made =
        typeof replacement === 'function'
          ? replacement(...(args as Parameters<Replacer>))
          : expandTemplate(replacement, args, named);
      if (made !== match) edits.push({ at, match, made });
      return made;
    });
    return edits.length === 0 ? this : this.#edited(text, edits);
  }

  replaceAll(part: string, by: string): SourceText {
    return this.text.includes(part) ? this.replace(new RegExp(escapeRegExp(part), 'gu'), () => by) : this;
  }

  /** As String.normalize. */
  normalize(form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD'): SourceText {
    const whole = this.text.normalize(form);
    if (whole === this.text) return this;
    const apart = this.replace(COMPOSED, (character) => character.normalize(form));
    // Where characters compose across what was taken for a border, the text moves as one.
    return apart.text === whole ? apart : this.#edited(whole, [{ at: 0, match: this.text, made: whole }]);
  }

  /** The same text with other characters, each in the place of one. */
  withCharacters(text: string): SourceText {
    if (text === this.text) return this;
    if (text.length !== this.length) return this.#edited(text, [{ at: 0, match: this.text, made: text }]);
    return new SourceText(text, this.#starts, this.#ends, this.#base, this.#tail);
  }

  /** Another text for this one as a whole: each of its characters stands for all of this. */
  saidAs(text: string): SourceText {
    if (text === this.text) return this;
    const [start, end] = this.sourceRange(0, this.length);
    const starts = new Int32Array(text.length).fill(start);
    return new SourceText(text, starts, new Int32Array(text.length).fill(end), 0, this.#tail);
  }

  /** As String.slice, for non-negative offsets. */
  slice(start: number, end = this.length): SourceText {
    const from = Math.min(start, this.length);
    const to = Math.max(from, Math.min(end, this.length));
    if (from === 0 && to === this.length) return this;
    const text = this.text.slice(from, to);
    const tail = to < this.length ? this.#startOf(to) : this.#tail;
    if (this.#starts === null || this.#ends === null) return new SourceText(text, null, null, this.#base + from, tail);
    return new SourceText(text, this.#starts.subarray(from, to), this.#ends.subarray(from, to), 0, tail);
  }

  trim(): SourceText {
    const start = this.length - this.text.trimStart().length;
    return this.slice(start, start + this.text.trim().length);
  }

  /** As String.split('\n'). */
  lines(): SourceText[] {
    const lines: SourceText[] = [];
    let start = 0;
    for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', start)) {
      lines.push(this.slice(start, at));
      start = at + 1;
    }
    lines.push(this.slice(start));
    return lines;
  }

  /** This text with something of no source in front or behind. */
  between(before: string, after: string): SourceText {
    if (before === '' && after === '') return this;
    return SourceText.join([
      SourceText.#inserted(before, this.#startOf(0)),
      this,
      SourceText.#inserted(after, this.length > 0 ? this.#endOf(this.length - 1) : this.#tail),
    ]);
  }

  /** For a text made from `outer.text`: the same text, with offsets in the source of `outer`. */
  within(outer: SourceText): SourceText {
    const starts = new Int32Array(this.length);
    const ends = new Int32Array(this.length);
    for (let i = 0; i < this.length; i++) {
      const [start, end] = outer.sourceRange(this.#startOf(i), this.#endOf(i));
      starts[i] = start;
      ends[i] = end;
    }
    return new SourceText(this.text, starts, ends, 0, outer.#startOf(this.#tail));
  }

  static #inserted(text: string, at: number): SourceText {
    const places = new Int32Array(text.length).fill(at);
    return new SourceText(text, places, places, 0, at);
  }

  #startOf(i: number): number {
    if (i >= this.length) return this.#tail;
    return this.#starts === null ? this.#base + i : (this.#starts[i] as number);
  }

  #endOf(i: number): number {
    return this.#ends === null ? this.#base + i + 1 : (this.#ends[i] as number);
  }

  /** The first unit for which a condition holds that, once true, stays true. */
  #firstUnit(holds: (i: number) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #copy(from: number, to: number, starts: Int32Array, ends: Int32Array, at: number): number {
    if (this.#starts === null || this.#ends === null) {
      for (let i = from; i < to; i++, at++) {
        starts[at] = this.#base + i;
        ends[at] = this.#base + i + 1;
      }
      return at;
    }
    starts.set(this.#starts.subarray(from, to), at);
    ends.set(this.#ends.subarray(from, to), at);
    return at + to - from;
  }

  #edited(text: string, edits: readonly Edit[]): SourceText {
    const starts = new Int32Array(text.length);
    const ends = new Int32Array(text.length);
    let from = 0;
    let to = 0;
    for (const { at, match, made } of edits) {
      const [head, tail] = sameEnds(match, made);
      to = this.#copy(from, at + head, starts, ends, to);
      from = at + match.length - tail;
      const place = this.sourceRange(at + head, from);
      const length = made.length - head - tail;
      starts.fill(place[0], to, to + length);
      ends.fill(place[1], to, to + length);
      to += length;
    }
    this.#copy(from, this.length, starts, ends, to);
    return new SourceText(text, starts, ends, 0, this.#tail);
  }
}

type Replacer = Parameters<typeof String.prototype.replace>[1];

interface Edit {
  readonly at: number;
  readonly match: string;
  readonly made: string;
}

/** A base character with what composes with it, or one that another form writes differently. */
const COMPOSED = /[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*/gu;

function sameEnds(a: string, b: string): readonly [head: number, tail: number] {
  const most = Math.min(a.length, b.length);
  let head = 0;
  while (head < most && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < most - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return [head, tail];
}

/** `$1`, `$&`, `$<name>` and `$$` of a replacement string. */
function expandTemplate(template: string, args: readonly unknown[], named: boolean): string {
  if (!template.includes('$')) return template;
  const groups = (named ? args.at(-1) : {}) as Record<string, string | undefined>;
  return template.replace(
    /\$(?:(\d)|(&)|(\$)|<(\w+)>)/g,
    (_, digit?: string, all?: string, dollar?: string, name?: string) => {
      if (digit !== undefined) return (args[Number(digit)] as string | undefined) ?? '';
      if (all !== undefined) return args[0] as string;
      return dollar ?? groups[name ?? ''] ?? '';
    },
  );
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
