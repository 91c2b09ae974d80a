import { englishLexicon } from './lexicon.js';

/**
 * Splits a word (lower case, letters only) that the lexicon lacks into two or three known words: "webhook" → web, hook.
 * Undefined when no split is convincing: parts must be everyday words of three letters or more (or one of a few short
 * words and prefixes). Word commonness decides among splits, as word counts do upstream (wordsegment).
 */
export function splitCompound(word: string): string[] | undefined {
  if (word.length < 5 || word.length > LONGEST) return undefined;
  let best: { parts: string[]; cost: number } | undefined;
  const consider = (parts: string[]) => {
    const cost = parts.reduce((sum, part, i) => sum + costOf(part, i), PART_COST * parts.length);
    if (cost < (best?.cost ?? LIMIT)) best = { parts, cost };
  };
  for (let i = 2; i <= word.length - 2; i++) {
    const head = word.slice(0, i);
    const tail = word.slice(i);
    if (costOf(head, 0) === Number.POSITIVE_INFINITY) continue;
    consider([head, tail]);
    if (word.length < 10) continue;
    for (let j = 3; j <= tail.length - 3; j++) consider([head, tail.slice(0, j), tail.slice(j)]);
  }
  return best?.parts;
}

const LONGEST = 40;
const PART_COST = 2;
/** Above this a word is more likely one of its own than a compound; set on the reference's out-of-dictionary words. */
const LIMIT = 13;

const SHORT_WORDS: ReadonlySet<string> = new Set(
  'in on up off out by to we my go no do it my be so or as at'.split(' '),
);
const PREFIXES: ReadonlySet<string> = new Set(
  'un re de mis dis non pre sub bio cyber nano crypto geo neuro pseudo anti auto micro macro multi mega mini meta co'.split(
    ' ',
  ),
);
/** Three-letter words that end or begin too many other words by chance. */
const TREACHEROUS: ReadonlySet<string> = new Set(
  'ate are her his ion ins ran ton tan ten ant ent ore ale ice ill all and end her ear era ere eat tin tic lin ran son sin men man an the tho thy chi pro con com per par dis des den dec del dem din dim ling ling ing ins ish ist ism ish'.split(
    ' ',
  ),
);

function costOf(part: string, position: number): number {
  if (position === 0 && PREFIXES.has(part)) return part.length > 3 ? 2 : 5;
  const commonness = englishLexicon().commonness(part);
  if (commonness === undefined || commonness > 6) return Number.POSITIVE_INFINITY;
  if (part.length < 3) return SHORT_WORDS.has(part) && position === 0 ? commonness + 3 : Number.POSITIVE_INFINITY;
  const short = part.length === 3 ? (TREACHEROUS.has(part) ? 8 : 2) : 0;
  return commonness + short;
}
