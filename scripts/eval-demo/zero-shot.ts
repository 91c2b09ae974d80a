import { concatenate } from '../../src/audio/concatenate.js';
import { resampleHighQuality } from '../../src/audio/resample.js';
import { SAMPLE_RATE_HZ } from './cepstra.js';
import { type Colour, type ColourShift, colourOf, colourShift, distance, envelopeOf } from './colour.js';
import type { DemoModel } from './demo-model.js';
import { findRecordings, findSyllables } from './recordings.js';
import { HELD_OUT_PROMPTS, MANDARIN } from './texts.js';

/** What a reference recording of somebody new does to the voice. */
export interface ZeroShotFigures extends ColourShift {
  readonly speaker: string;
  readonly language: 'zh' | 'en';
  /** Sentences that are nearer to the new speaker than the same sentence in the usual voice is (chance: half). */
  readonly nearer: { readonly right: number; readonly total: number };
}

/** A speaker that the voice is to sound like, and the trained one that it sounds like otherwise. */
interface NewSpeaker {
  readonly name: string;
  readonly language: 'zh' | 'en';
  readonly recordings: readonly Float32Array[];
  readonly usual: readonly Float32Array[];
}

const REFERENCE_SECONDS = 5;
const RECORDINGS = 16;
const SENTENCES = 10;
const PAUSE = new Float32Array(0.05 * SAMPLE_RATE_HZ);

/**
 * Enrols references of speakers that the voice model did not learn: Chen Wang's syllables, and the trained speakers
 * made larger and smaller (pitch and formants a fifth lower or higher), and says the same sentences in both voices.
 */
export async function zeroShot(model: DemoModel, folder: string, quick: boolean): Promise<ZeroShotFigures[]> {
  const figures: ZeroShotFigures[] = [];
  const usual = new Map<readonly Float32Array[], Colour>();
  for (const [index, speaker] of (await newSpeakers(folder)).entries()) {
    const { language } = speaker;
    const name = `new-${index}`;
    await model.enrol(name, referenceOf(speaker.recordings), language);
    const texts = (language === 'zh' ? MANDARIN : HELD_OUT_PROMPTS.map(([, text]) => text)).slice(
      0,
      quick ? 3 : SENTENCES,
    );
    const made: Float32Array[] = [];
    const madeUsual: Float32Array[] = [];
    for (const text of texts) {
      made.push(await model.speakAs(text, language, name));
      madeUsual.push(await model.speakAs(text, language, null));
    }
    const wanted = colourOf(speaker.recordings);
    const far = (samples: Float32Array) => distance(envelopeOf([samples]), wanted.envelope);
    const right = made.filter((samples, at) => far(samples) < far(madeUsual[at]!)).length;
    const from = usual.get(speaker.usual) ?? colourOf(speaker.usual);
    usual.set(speaker.usual, from);
    const shift = colourShift(from, wanted, colourOf(madeUsual), colourOf(made));
    figures.push({ speaker: speaker.name, language, ...shift, nearer: { right, total: texts.length } });
  }
  return figures;
}

async function newSpeakers(folder: string): Promise<NewSpeaker[]> {
  const all = findRecordings(folder);
  const some = <T>(list: readonly T[]) => list.filter((_, index) => index % Math.ceil(list.length / RECORDINGS) === 0);
  const load = (list: readonly (() => Promise<Float32Array>)[]) => Promise.all(some(list).map((one) => one()));
  const english = await load(all.filter(({ language }) => language === 'en').map((one) => one.load));
  const mandarin = await load(all.filter(({ language }) => language === 'zh').map((one) => one.load));
  const syllables = await load(findSyllables(folder));
  const larger = (recordings: readonly Float32Array[]) =>
    recordings.map((samples) => resampleHighQuality(samples, 5, 6));
  const smaller = (recordings: readonly Float32Array[]) =>
    recordings.map((samples) => resampleHighQuality(samples, 6, 5));
  return [
    ...(syllables.length > 0
      ? [{ name: 'Chen Wang', language: 'zh' as const, recordings: syllables, usual: mandarin }]
      : []),
    { name: 'Yue Tan, a fifth larger', language: 'zh', recordings: larger(mandarin), usual: mandarin },
    { name: 'Yue Tan, a fifth smaller', language: 'zh', recordings: smaller(mandarin), usual: mandarin },
    { name: 'Kathleen, a fifth larger', language: 'en', recordings: larger(english), usual: english },
    { name: 'Kathleen, a fifth smaller', language: 'en', recordings: smaller(english), usual: english },
  ];
}

/** Recordings set beside each other until they are as long as a reference should be. */
function referenceOf(recordings: readonly Float32Array[]): Float32Array {
  const pieces: Float32Array[] = [];
  let length = 0;
  for (const samples of recordings) {
    if (length > REFERENCE_SECONDS * SAMPLE_RATE_HZ) break;
    pieces.push(samples, PAUSE);
    length += samples.length + PAUSE.length;
  }
  return concatenate(pieces);
}
