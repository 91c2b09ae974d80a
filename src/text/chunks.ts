/** A piece of text cut for streaming. */
export interface TextChunk {
  readonly text: string;
  /** Whether the piece ends where a sentence (or line) ends, rather than inside one. */
  readonly endsSentence: boolean;
}

/** Pieces of at most 30 characters; see {@link chunkText}. */
export function chunk30(text: string): string[] {
  return chunkText(text, 30).map((chunk) => chunk.text);
}

/**
 * Cuts a text into pieces of at most `maxLength` characters (code points): at sentence ends, else at clause marks, else
 * between words, in pieces of similar length. A number, a Latin word, or a character with its marks is never cut, and
 * nothing but white space at the cuts is dropped. Only a single token longer than `maxLength` goes beyond it: an address
 * or hyphenated chain is cut at its joints, a word stays whole up to {@link LONGEST_WORD} characters.
 */
export function chunkText(text: string, maxLength: number): TextChunk[] {
  const sentences = joinShort(sentencesOf(text), maxLength);
  return sentences.flatMap((sentence) => {
    const pieces = cutToLength(sentence, maxLength)
      .map((atoms) => atoms.join('').trim())
      .filter((piece) => piece !== '');
    return pieces.map((piece, i) => ({ text: piece, endsSentence: i === pieces.length - 1 }));
  });
}

/** Beyond this no pronounceable word goes; such a run is cut so that one token cannot make an endless sentence. */
const LONGEST_WORD = 60;
/** Sentences shorter than this are unnatural alone and join the next one where both fit. */
const SHORTEST_SENTENCE = 6;

const CLOSERS = /^[”’"'）)】」』》〉\]}]$/u;
const CLAUSE_MARK = /^[，,；;：:、—…~～-]$/u;
const ABBREVIATION =
  /^(?:Mr|Mrs|Ms|Mx|Dr|Prof|Rev|Fr|Sr|Jr|St|Mt|Ft|Gen|Col|Capt|Lt|Sgt|Sen|Rep|Gov|Hon|No|Nos|Fig|Figs|Vol|vs|etc|approx|dept|est|Inc|Ltd|Co|Corp|Ave|Blvd|Rd|[A-Z])$/;

/**
 * Splits a text into things that are never cut: white space runs, numbers with their separators and units, Latin and
 * Korean words, and single other characters with their combining marks.
 */
function atomsOf(text: string): string[] {
  const pattern =
    /\s+|[$€£¥￥₩#@+-]?[\p{Script=Latin}\p{Script=Hangul}\p{N}\p{M}]+(?:[.,:/’'_@&+=?%~-]+[\p{Script=Latin}\p{N}\p{M}]+\p{Script=Hangul}*)*(?:[%％‰°℃℉+]|['’](?!\p{L}))*|[^\s](?:\p{M}|\u200d|\ufe0e)*/gu;
  return (text.match(pattern) ?? []).flatMap(cutLongAtom);
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

function sentencesOf(text: string): string[][] {
  const atoms = atomsOf(text);
  const sentences: string[][] = [];
  let current: string[] = [];
  for (let i = 0; i < atoms.length; i++) {
    const atom = atoms[i] as string;
    current.push(atom);
    if (!endsSentence(atoms, i)) continue;
    // Closing quotes and brackets, and further end marks, belong to the sentence they follow.
    while (
      i + 1 < atoms.length &&
      (CLOSERS.test(atoms[i + 1] as string) || /^[。！？!?.…]$/u.test(atoms[i + 1] ?? ''))
    ) {
      current.push(atoms[++i] as string);
    }
    sentences.push(current);
    current = [];
  }
  if (current.length > 0) sentences.push(current);
  return sentences;
}

function endsSentence(atoms: readonly string[], i: number): boolean {
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
  const before = atoms[i - 1] ?? '';
  if (ABBREVIATION.test(before)) return false;
  // "9:30 a.m. on Friday": no sentence begins with a small letter.
  if (/^\s/.test(next ?? '') && /^\p{Ll}/u.test(atoms[i + 2] ?? '')) return false;
  // "1. Open the box": the number of a list item stays with its item.
  const opensLine = i < 2 || /[\n：:；;。.]/.test(atoms[i - 2] ?? '') || (/^\s/.test(atoms[i - 2] ?? '') && i < 3);
  return !(/^\d{1,2}$/.test(before) && opensLine);
}

/** Joins a very short sentence to the one after it (or, at the end, before it) where both fit into one piece. */
function joinShort(sentences: readonly string[][], maxLength: number): string[][] {
  const joined: string[][] = [];
  for (const sentence of sentences) {
    const last = joined.at(-1);
    const mayJoin =
      last !== undefined &&
      !/\n/.test(last.at(-1) ?? '') &&
      (lengthOf(last) < SHORTEST_SENTENCE || lengthOf(sentence) < SHORTEST_SENTENCE) &&
      lengthOf(last) + lengthOf(sentence) <= maxLength;
    if (mayJoin) last.push(...sentence);
    else joined.push([...sentence]);
  }
  return joined;
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
function lengthOf(atoms: readonly string[]): number {
  return [...atoms.join('').trimStart()].length;
}

function trimmedLength(atoms: readonly string[]): number {
  return [...atoms.join('').trimEnd()].length;
}
