import { readFileSync } from 'node:fs';
import { partOfSpeech } from './part-of-speech.js';

/** Whether a word (in lower case) is read differently by part of speech. */
export function isHomograph(word: string): boolean {
  return table().has(word);
}

/** The phones of a homograph where it stands. upstream: text/english.py en_G2p.__call__ with g2p_en's homographs.en */
export function homographPhones(word: string, tokens: readonly string[], index: number): readonly string[] {
  const entry = table().get(word);
  if (entry === undefined) return [];
  const tag = partOfSpeech(tokens, index);
  // A shorter tag ("VB" for "VBP", as in "read") counts as well.
  return tag.startsWith(entry.tag) || (entry.tag === 'VBP' && tag === 'VB') ? entry.tagged : entry.other;
}

interface Homograph {
  /** Part of speech (a prefix of a Penn tag) that takes `tagged`; all others take `other`. */
  readonly tag: string;
  readonly tagged: readonly string[];
  readonly other: readonly string[];
}

let loaded: Map<string, Homograph> | undefined;

function table(): Map<string, Homograph> {
  loaded ??= new Map(
    readFileSync(new URL('./data/homographs.txt', import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [word = '', tagged = '', other = '', tag = ''] = line.split('|');
        return [word, { tag, tagged: tagged.split(' '), other: other.split(' ') }];
      }),
  );
  return loaded;
}
