/** A piece of text cut for streaming. */
export interface TextChunk {
  readonly text: string;
  /** Where it stands in the text that was cut. */
  readonly start: number;
  readonly end: number;
  /** Whether the piece ends where a sentence (or line) ends, rather than inside one. */
  readonly endsSentence: boolean;
}

/** A stretch of a text, from–to. */
export type Stretch = readonly [start: number, end: number];

/** The most characters of one piece: the same for all, or by what the piece holds. */
export type MaxLength = number | ((text: string) => number);

/** Pieces of at most 30 characters; see {@link chunkText}. */
export function chunk30(text: string): string[] {
  return chunkText(text, 30).map((chunk) => chunk.text);
}

/**
 * Cuts a text into pieces of at most `maxLength` characters (code points): at sentence ends, else at clause marks, else
 * between words, in pieces of similar length. A number, a Latin word, a markup tag, a character with its marks, or one of
 * the stretches named as `whole` is never cut, and nothing but white space at the cuts is dropped. Only a single token
 * longer than `maxLength` goes beyond it: an address or hyphenated chain is cut at its joints, a word stays whole up to
 * {@link LONGEST_WORD} characters.
 */
export function chunkText(text: string, maxLength: MaxLength, whole: readonly Stretch[] = []): TextChunk[] {
  const chunks: TextChunk[] = [];
  let at = 0;
  for (const sentence of joinShort(sentencesOf(atomsOf(text, whole)), maxLength)) {
    chunks.push(...piecesOf(sentence, maxLength, at));
    at += sizeOf(sentence);
  }
  return chunks;
}

/** The pieces of one sentence that begins at `start` of its text. */
export function piecesOf(sentence: readonly string[], maxLength: MaxLength, start = 0): TextChunk[] {
  const chunks: TextChunk[] = [];
  let at = start;
  for (const atoms of cutToLength(sentence, maxFor(sentence, maxLength))) {
    const raw = atoms.join('');
    const text = raw.trim();
    const begin = at + raw.length - raw.trimStart().length;
    if (text !== '') chunks.push({ text, start: begin, end: begin + text.length, endsSentence: false });
    at += raw.length;
  }
  return chunks.map((chunk, i) => (i === chunks.length - 1 ? { ...chunk, endsSentence: true } : chunk));
}

/** Beyond this no pronounceable word goes; such a run is cut so that one token cannot make an endless sentence. */
const LONGEST_WORD = 60;
/** Sentences shorter than this are unnatural alone and join the next one where both fit. */
export const SHORTEST_SENTENCE = 6;
/** UTF-16 units after which a sentence without an end is cut at its next clause mark. */
const ENDLESS = 400;

/**
 * Characters that are said in one breath: a Chinese character is a syllable, so is a Korean one, but it is said faster and
 * with spaces between words; a syllable of English is about four letters.
 */
export function breathLength(text: string): number {
  const count = (script: RegExp): number => text.match(script)?.length ?? 0;
  const length = [...text].length;
  if (count(/\p{Script=Han}/gu) * 5 > length) return 30;
  return count(/\p{Script=Hangul}/gu) * 5 > length ? 60 : 120;
}

const CLOSERS = /^[”’"'）)】」』》〉\]}]$/u;
const CLAUSE_MARK = /^[，,；;：:、—…~～-]$/u;
const ABBREVIATION =
  /^(?:Mr|Mrs|Ms|Mx|Dr|Prof|Rev|Fr|Sr|Jr|St|Mt|Ft|Gen|Col|Capt|Lt|Sgt|Sen|Rep|Gov|Hon|No|Nos|Fig|Figs|Vol|vs|etc|approx|dept|est|Inc|Ltd|Co|Corp|Ave|Blvd|Rd|[A-Z])$/;

/**
 * Splits a text into things that are never cut: white space runs, numbers with their separators and units, Latin and
 * Korean words, markup tags, readings in brackets behind what they are the reading of, single other characters with their
 * combining marks, and the stretches named as whole.
 */
export function atomsOf(text: string, whole: readonly Stretch[] = []): string[] {
  const pattern =
    /\s+|<[^<>\n]{1,300}>|[$€£¥￥₩#@+-]?[\p{Script=Latin}\p{Script=Hangul}\p{N}\p{M}]+(?:(?:[.,:/’'_@&+=?%~-]+|(?<=\p{N})[：．](?=\p{N}))[\p{Script=Latin}\p{N}\p{M}]+\p{Script=Hangul}*)*(?:[%％‰°℃℉+]|['’](?!\p{L}))*(?:\[[^[\]\n]{1,80}\])?|\p{L}\[[^[\]\n]{1,80}\]|[^\s](?:\p{M}|\u200d|\ufe0e)*/gu;
  const atoms = (text.match(pattern) ?? []).flatMap(cutLongAtom);
  return whole.length === 0 ? atoms : joinWhole(atoms, whole);
}

/** Joins the atoms that share a stretch. */
function joinWhole(atoms: readonly string[], whole: readonly Stretch[]): string[] {
  const joined: string[] = [];
  let at = 0;
  let next = 0;
  for (const atom of atoms) {
    while (next < whole.length && (whole[next] as Stretch)[1] <= at) next++;
    const stretch = whole[next];
    if (stretch !== undefined && at > stretch[0] && at < stretch[1]) joined[joined.length - 1] += atom;
    else joined.push(atom);
    at += atom.length;
  }
  return joined;
}

function cutLongAtom(atom: string): string[] {
  if (atom.length <= 30 || /^\s/.test(atom)) return [atom];
  const joints = atom.match(/[\p{L}\p{N}\p{M}'’]+[^\p{L}\p{N}\p{M}'’]*|[^\p{L}\p{N}\p{M}'’]+/gu) ?? [atom];
  return joints.flatMap((part) => {
    const all = [...part];
    if (all.length <= LONGEST_WORD) return [part];
    return Array.from({ length: Math.ceil(all.length / 30) }, (_, i) => all.slice(i * 30, i * 30 + 30).join(''));
  });
}

/** Atoms by sentence. A sentence that does not end is ended at a clause mark, or at last anywhere. */
export function sentencesOf(atoms: readonly string[]): string[][] {
  const sentences: string[][] = [];
  let current: string[] = [];
  let size = 0;
  for (let i = 0; i < atoms.length; i++) {
    const atom = atoms[i] as string;
    current.push(atom);
    size += atom.length;
    const endless = size > ENDLESS && (CLAUSE_MARK.test(atom) || size > 2 * ENDLESS);
    if (!endless && !endsSentence(atoms, i, i - current.length + 1)) continue;
    // Closing quotes and brackets, and further end marks, belong to the sentence they follow.
    while (
      i + 1 < atoms.length &&
      (CLOSERS.test(atoms[i + 1] as string) || /^[。！？!?.…]$/u.test(atoms[i + 1] ?? ''))
    ) {
      current.push(atoms[++i] as string);
    }
    sentences.push(current);
    current = [];
    size = 0;
  }
  if (current.length > 0) sentences.push(current);
  return sentences;
}

/** Whether the atom at `i` ends the sentence that begins at `first`; what came before that does not matter. */
function endsSentence(atoms: readonly string[], i: number, first: number): boolean {
  const atom = atoms[i] as string;
  if (/\n/.test(atom) || /^[。！？!?]$/u.test(atom)) return true;
  const next = atoms[i + 1];
  if (atom === '…') return next !== '…' && (next === undefined || /^\s/.test(next));
  if (atom !== '.') return false;
  if (
    next !== undefined &&
    !/^\s/.test(next) &&
    !CLOSERS.test(next) &&
    !/^[\p{Script=Han}\p{Script=Hangul}.]/u.test(next)
  )
    return false;
  const before = i > first ? (atoms[i - 1] ?? '') : '';
  if (ABBREVIATION.test(before)) return false;
  // "9:30 a.m. on Friday": no sentence begins with a small letter.
  if (/^\s/.test(next ?? '') && /^\p{Ll}/u.test(atoms[i + 2] ?? '')) return false;
  // "1. Open the box": the number of a list item stays with its item.
  const opener = atoms[i - 2] ?? '';
  const opensLine = i - first < 2 || /[\n：:；;。.]/.test(opener) || (/^\s/.test(opener) && i - first < 3);
  return !(/^\d{1,2}$/.test(before) && opensLine);
}

/** Joins a very short sentence to the one after it (or, at the end, before it) where both fit into one piece. */
export function joinShort(sentences: readonly string[][], maxLength: MaxLength): string[][] {
  const joined: string[][] = [];
  for (const sentence of sentences) {
    const last = joined.at(-1);
    if (last !== undefined && mayJoin(last, lengthOf(sentence), maxLength)) last.push(...sentence);
    else joined.push([...sentence]);
  }
  return joined;
}

/** Whether a sentence of `length` characters joins the one before it. */
export function mayJoin(last: readonly string[], length: number, maxLength: MaxLength): boolean {
  if (/\n/.test(last.at(-1) ?? '')) return false;
  const lastLength = lengthOf(last);
  return (
    (lastLength < SHORTEST_SENTENCE || length < SHORTEST_SENTENCE) && lastLength + length <= maxFor(last, maxLength)
  );
}

function maxFor(sentence: readonly string[], maxLength: MaxLength): number {
  return typeof maxLength === 'number' ? maxLength : maxLength(sentence.join(''));
}

/** Cuts one sentence into parts of at most `maxLength`: by clauses first, by words where a clause is too long. */
function cutToLength(atoms: readonly string[], maxLength: number): string[][] {
  if (lengthOf(atoms) <= maxLength) return [[...atoms]];
  const clauses: string[][] = [];
  let current: string[] = [];
  atoms.forEach((atom, i) => {
    current.push(atom);
    const next = atoms[i + 1] ?? '';
    if (CLAUSE_MARK.test(atom) && !CLAUSE_MARK.test(next) && !CLOSERS.test(next)) {
      clauses.push(current);
      current = [];
    }
  });
  if (current.length > 0) clauses.push(current);
  const parts = clauses.flatMap((clause) => (lengthOf(clause) <= maxLength ? [clause] : cutEvenly(clause, maxLength)));
  return pack(parts, maxLength);
}

/** Cuts a clause between words into the fewest parts that fit, of similar length. */
function cutEvenly(clause: readonly string[], maxLength: number): string[][] {
  const units = wordsOf(clause);
  const total = lengthOf(clause);
  const target = total / Math.ceil(total / (maxLength - 2));
  const parts: string[][] = [];
  let current: string[] = [];
  let length = 0;
  for (const unit of units) {
    const unitLength = length === 0 ? lengthOf(unit) : [...unit.join('')].length;
    const full = length > 0 && (length + unitLength > maxLength || length + unitLength / 2 > target);
    // A space or mark never opens a part.
    if (full && !/^[\s\p{P}]/u.test(unit[0] ?? '')) {
      parts.push(current);
      current = [];
      length = 0;
    } else if (full && length + unitLength > maxLength && !/^\s/.test(unit[0] ?? '')) {
      parts.push(current);
      current = [];
      length = 0;
    }
    current.push(...unit);
    length += unitLength;
  }
  if (current.length > 0) parts.push(current);
  return parts;
}

/** Groups single Chinese characters into words, so that a cut does not fall inside one. */
function wordsOf(clause: readonly string[]): string[][] {
  const units: string[][] = [];
  let run: string[] = [];
  const flush = () => {
    if (run.length > 0) {
      for (const { segment } of WORDS.segment(run.join(''))) units.push([...segment]);
    }
    run = [];
  };
  for (const atom of clause) {
    if (/^\p{Script=Han}$/u.test(atom)) run.push(atom);
    else {
      flush();
      units.push([atom]);
    }
  }
  flush();
  return units;
}

const WORDS = new Intl.Segmenter('zh', { granularity: 'word' });

function pack(parts: readonly string[][], maxLength: number): string[][] {
  const packed: string[][] = [];
  for (const part of parts) {
    const last = packed.at(-1);
    if (last !== undefined && lengthOf(last) + trimmedLength(part) <= maxLength) last.push(...part);
    else packed.push([...part]);
  }
  return packed;
}

/** Code points of the joined atoms, without white space at either end. */
export function lengthOf(atoms: readonly string[]): number {
  return [...atoms.join('').trimStart()].length;
}

function trimmedLength(atoms: readonly string[]): number {
  return [...atoms.join('').trimEnd()].length;
}

/** UTF-16 units of the atoms together. */
export function sizeOf(atoms: readonly string[]): number {
  return atoms.reduce((sum, atom) => sum + atom.length, 0);
}
