import { readSections } from '../zh/sections.js';
import { buildTrie, childOf, type Trie } from '../zh/trie.js';

/** One character with its syllables in Jyutping, tone last ("nei5"); a few characters have two, unknown ones none. */
export interface ReadCharacter {
  readonly character: string;
  readonly syllables: readonly string[];
  /** Whether it opens a word of the dictionary, or stands alone. */
  readonly startsWord: boolean;
}

/**
 * Reads Han characters in Cantonese by the longest word of the dictionary at each place, from the left, with its most
 * usual reading. Other characters have no syllables. (Same words and rule as ToJyutping 3.2.0 get_jyutping_list.)
 * `lone` may read a character that stands in no word, seeing the ones before and after it; words of `own` come first.
 */
export function readJyutping(text: string, lone?: LoneReading, own?: OwnWords): ReadCharacter[] {
  const { trie, readingStart, readings, syllables } = (loaded ??= load());
  const read: ReadCharacter[] = [];
  const placed = own === undefined ? [] : [...text.matchAll(own.pattern)];
  let at = 0;
  while (at < text.length) {
    while (placed[0] !== undefined && placed[0].index < at) placed.shift();
    const next = placed[0];
    if (next?.index === at) {
      const said = own?.readings.get(next[0]) ?? [];
      [...next[0]].forEach((character, i) => {
        read.push({ character, syllables: [said[i] ?? ''], startsWord: i === 0 });
      });
      at += next[0].length;
      continue;
    }
    const end = next?.index ?? text.length;
    let word = 0;
    let node = 0;
    for (let i = at; i < end; i++) {
      node = childOf(trie, node, text.charCodeAt(i));
      if (node === 0) break;
      if (readingStart[node + 1]! > readingStart[node]!) word = node;
    }
    if (word === 0) {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      read.push({ character, syllables: [], startsWord: true });
      at += character.length;
    }
    const isLone = readingStart[word + 1]! - readingStart[word]! === 1;
    for (let i = readingStart[word]!; i < readingStart[word + 1]!; i++) {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      const other = isLone ? lone?.(character, text.charAt(at - 1), text.charAt(at + character.length)) : undefined;
      read.push({
        character,
        syllables: other === undefined ? syllables[readings[i]!]! : [other],
        startsWord: i === readingStart[word],
      });
      at += character.length;
    }
  }
  return read;
}

/** Words that the dictionary lacks or has wrong, and whose places no other word may reach into. */
export interface OwnWords {
  readonly pattern: RegExp;
  readonly readings: ReadonlyMap<string, readonly string[]>;
}

export type LoneReading = (character: string, before: string, after: string) => string | undefined;

interface Dictionary {
  readonly trie: Trie;
  /** Readings of node n: readingStart[n] … readingStart[n + 1] − 1, one a character. */
  readonly readingStart: Uint32Array;
  /** Indices into `syllables`. */
  readonly readings: Uint16Array;
  readonly syllables: readonly (readonly string[])[];
}

let loaded: Dictionary | undefined;

function load(): Dictionary {
  const sections = readSections<{ syllables: string[] }>(new URL('./data/jyutping.br', import.meta.url));
  const lengths = sections.uint8('readingLengths');
  const readingStart = new Uint32Array(lengths.length + 1);
  for (let node = 0; node < lengths.length; node++) readingStart[node + 1] = readingStart[node]! + lengths[node]!;
  return {
    trie: buildTrie(sections.uint16('characters'), sections.uint16('childCounts')),
    readingStart,
    readings: sections.uint16('readings'),
    syllables: sections.header.syllables.map((syllable) => syllable.split(' ')),
  };
}
