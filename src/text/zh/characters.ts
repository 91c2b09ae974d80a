import { frequencyOf, getDictionary } from './dictionary.js';
import { readWord, spell } from './syllables.js';

/** The most usual character with a reading such as `hang2`, to stand for a word that is not written in characters. */
export function characterFor(syllable: string): string {
  bySyllable ??= build();
  return bySyllable.get(syllable) ?? bySyllable.get(`${syllable.slice(0, -1)}1`) ?? '字';
}

let bySyllable: ReadonlyMap<string, string> | undefined;

function build(): ReadonlyMap<string, string> {
  const dictionary = getDictionary();
  const best = new Map<string, readonly [character: string, frequency: number]>();
  for (let code = 0x4e00; code <= 0x9fa5; code++) {
    const character = String.fromCharCode(code);
    const reading = spell(readWord(character)[0]!);
    const frequency = frequencyOf(dictionary, character);
    if (frequency > (best.get(reading)?.[1] ?? -1)) best.set(reading, [character, frequency]);
  }
  return new Map([...best].map(([reading, [character]]) => [reading, character]));
}
