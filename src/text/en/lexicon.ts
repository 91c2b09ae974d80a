import { readPackedFile } from '../packed-file.js';

/** Pronunciations of words and of names, as phone lists such as `['K', 'AE1', 'T']`. */
export interface Lexicon {
  /** A word in lower case, or undefined. */
  word(word: string): readonly string[] | undefined;
  /** A person's name in lower case; consulted only for capitalised words. */
  name(name: string): readonly string[] | undefined;
  /** 1 (everyone's word) to 9 (found in no word list); undefined when the lexicon lacks the word. */
  commonness(word: string): number | undefined;
}

/**
 * The English lexicon: CMUdict (the 0.7b edition, then the newer one) with upstream's hot words and its dictionary of
 * names; loaded on first use and kept. About 20 ms and 3 MB: the table stays one sorted buffer and is searched in place.
 * upstream: text/english.py get_dict, get_namedict
 */
export function englishLexicon(): Lexicon {
  loaded ??= open();
  return loaded;
}

/** One character of the data file is one phone: code 48 + index. training/letter-to-sound/build-lexicon.mjs writes it. */
const PHONES =
  'AA0 AA1 AA2 AE0 AE1 AE2 AH0 AH1 AH2 AO0 AO1 AO2 AW0 AW1 AW2 AY0 AY1 AY2 B CH D DH EH0 EH1 EH2 ER0 ER1 ER2 EY0 EY1 EY2 F G HH IH0 IH1 IH2 IY0 IY1 IY2 JH K L M N NG OW0 OW1 OW2 OY0 OY1 OY2 P R S SH T TH UH0 UH1 UH2 UW0 UW1 UW2 V W Y Z ZH'.split(
    ' ',
  );

const NEWLINE = 10;
const TAB = 9;

let loaded: Lexicon | undefined;

function open(): Lexicon {
  const data = readPackedFile(new URL('./data/lexicon.br', import.meta.url));
  const border = data.indexOf('\n\n');
  const words = data.subarray(0, border + 1);
  const names = data.subarray(border + 2);
  return {
    word: (word) => phonesAt(words, find(words, word)),
    name: (name) => phonesAt(names, find(names, name)),
    commonness: (word) => {
      const at = find(words, word);
      return at < 0 ? undefined : (words[at] as number) - 48;
    },
  };
}

/** Offset of the entry's content (behind its tab), or -1: binary search over lines sorted by code unit. */
function find(lines: Buffer, word: string): number {
  if (!/^[a-z'][a-z'.-]*$/.test(word)) return -1;
  const key = Buffer.from(word, 'latin1');
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const start = lines.lastIndexOf(NEWLINE, middle - 1) + 1;
    const line = middle === 0 ? 0 : start;
    const tab = lines.indexOf(TAB, line);
    const order = Buffer.compare(key, lines.subarray(line, tab));
    if (order === 0) return tab + 1;
    if (order < 0) high = line;
    else low = lines.indexOf(NEWLINE, tab) + 1;
  }
  return -1;
}

function phonesAt(lines: Buffer, at: number): readonly string[] | undefined {
  if (at < 0) return undefined;
  const phones: string[] = [];
  // The first character is the commonness.
  for (let i = at + 1; lines[i] !== NEWLINE && i < lines.length; i++) {
    const phone = PHONES[(lines[i] as number) - 48];
    if (phone !== undefined) phones.push(phone);
  }
  return phones;
}
