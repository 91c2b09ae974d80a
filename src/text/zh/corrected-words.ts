import { readFileSync } from 'node:fs';
import { type Syllable, syllable } from './syllables.js';

let loaded: ReadonlyMap<string, string> | undefined;

/**
 * Corrected readings of a whole word of the segmentation, by index into it; undefined where the tables are right.
 * data/corrected-words.txt holds them as `照片 1pian4`; scripts/build-zh-corrections.mjs says how they were chosen.
 */
export function correctedReadings(word: string): readonly (readonly [number, Syllable])[] | undefined {
  loaded ??= loadCorrections();
  return loaded
    .get(word)
    ?.split(' ')
    .map((change) => [Number(change[0]), syllable(change.slice(1))] as const);
}

function loadCorrections(): ReadonlyMap<string, string> {
  const text = readFileSync(new URL('./data/corrected-words.txt', import.meta.url), 'utf8');
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const space = line.indexOf(' ');
        return [line.slice(0, space), line.slice(space + 1)];
      }),
  );
}
