import { type Mora, moraAt } from './kana.js';
import { PAUSE, type Word } from './words.js';

/**
 * Phonemes with pitch marks: `[` where the pitch rises, `]` where it falls, `#` between accent phrases, `_` for a pause.
 * `counts` says how many of them are each word's. Unvoiced vowels are vowels like all others, as the models were trained.
 * upstream: text/japanese.py pyopenjtalk_g2p_prosody, on the labels of Open JTalk's jpcommon_label
 */
export function prosodicPhonemes(words: readonly Word[]): { readonly phonemes: string[]; readonly counts: number[] } {
  const sounds = layOut(words);
  const phonemes: string[] = [];
  const counts = words.map(() => 0);
  const push = (phoneme: string, { word }: Sound): void => {
    phonemes.push(phoneme);
    counts[word]!++;
  };
  sounds.forEach((sound, i) => {
    push(sound.phoneme, sound);
    const phrase = sound.phrase;
    if (phrase === undefined) return;
    const next = sounds[i + 1];
    const nextAt = next?.phrase === undefined ? undefined : atMost49(next.at);
    const at = atMost49(sound.at);
    const accent = phrase.accent === 0 ? phrase.morae : phrase.accent;
    if (sound.at === phrase.morae && nextAt === 1 && sound.isNucleus) push('#', sound);
    else if (sound.at === accent && nextAt === at + 1 && at !== atMost49(phrase.morae)) push(']', sound);
    else if (at === 1 && nextAt === 2) push('[', sound);
  });
  return { phonemes, counts };
}

interface Phrase {
  readonly accent: number;
  morae: number;
}

interface Sound {
  readonly phoneme: string;
  /** Vowels, N and cl, after which a phrase may end. */
  readonly isNucleus: boolean;
  /** Place of its mora in its phrase, from 1. */
  readonly at: number;
  /** Index of the word it belongs to. */
  readonly word: number;
  /** Undefined for a pause. */
  readonly phrase: Phrase | undefined;
}

/** The labels count no further. */
const atMost49 = (count: number): number => Math.min(49, count);

/** A phrase goes on behind a pause if the word there joins it. */
function layOut(words: readonly Word[]): Sound[] {
  const sounds: Sound[] = [];
  let phrase: Phrase | undefined;
  let paused = false;
  let current = 0;
  const push = (phoneme: string, isNucleus: boolean): void => {
    if (phrase !== undefined) sounds.push({ phoneme, isNucleus, at: phrase.morae, word: current, phrase });
  };
  for (const [index, word] of words.entries()) {
    current = index;
    if (word.pronunciation === PAUSE || word.pronunciation === '？') {
      paused = true;
      continue;
    }
    let begun = false;
    for (let at = 0; at < word.pronunciation.length; ) {
      if (word.pronunciation[at] === 'ー') {
        const last = sounds.at(-1);
        if (last?.phrase !== undefined && !paused) {
          last.phrase.morae++;
          sounds.push({ ...last, at: last.phrase.morae, word: index });
        }
        at++;
        continue;
      }
      const found = moraAt(word.pronunciation, at);
      if (found === undefined) break;
      if (!begun) {
        begun = true;
        if (paused && phrase !== undefined) {
          sounds.push({ phoneme: '_', isNucleus: false, at: 0, word: index, phrase: undefined });
        }
        paused = false;
        if (phrase === undefined || word.joins !== true) phrase = { accent: word.accent, morae: 0 };
      }
      if (phrase !== undefined) phrase.morae++;
      pushMora(found.mora, push);
      at += found.length;
    }
  }
  return sounds;
}

function pushMora({ consonant, vowel }: Mora, push: (phoneme: string, isNucleus: boolean) => void): void {
  if (vowel === '') push(consonant === '' ? 'N' : consonant, true);
  else {
    if (consonant !== '') push(consonant, false);
    push(vowel, true);
  }
}
