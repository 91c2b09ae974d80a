import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { CEPSTRA_WIDTH, type Cepstra } from './cepstra.js';
import { type Chain, chainOf, numberStates, type Syllable, unitsOf } from './mandarin-units.js';
import { type MixtureScorer, type Mixtures, mixtureScorer } from './mixtures.js';
import type { FinalSpan, ToneNetwork } from './tones.js';
import { alignChain, decodeLoop, type Emissions, type LoopWord } from './viterbi.js';

/** What training learns, and the file holds. */
export interface RecogniserModel {
  readonly units: readonly string[];
  /** Every syllable there is, as `initial final`. */
  readonly sounds: readonly string[];
  /** Of the features of the training recordings: they are centred and scaled by these. */
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
  /** Mean of the loud frames of the training recordings. */
  readonly loudMean: Float32Array;
  readonly mixtures: Mixtures;
  readonly tones: ToneNetwork;
  /** Log probability of one more syllable, chosen on recordings that were not learnt from. */
  readonly syllableEntry: number;
}

/** Recordings of one voice as the recogniser sees them: the long-term average of the voice is taken out. */
export interface HeardSet {
  readonly features: readonly Cepstra[];
}

/** The project's Mandarin recogniser: hidden Markov models of initials and finals over mel cepstra. */
export class MandarinRecogniser {
  readonly model: RecogniserModel;
  readonly #scorer: MixtureScorer;
  readonly #states: ReadonlyMap<string, readonly number[]>;
  readonly #loop: readonly LoopWord[];

  constructor(model: RecogniserModel) {
    this.model = model;
    this.#scorer = mixtureScorer(model.mixtures);
    this.#states = numberStates(model.units);
    this.#loop = [
      ...model.sounds.map((sound) => ({ nodes: this.#statesOf(sound), entry: model.syllableEntry })),
      { nodes: [0], entry: 0 },
    ];
  }

  /**
   * Centres the recordings of a voice together, so that what is constant in them (a microphone, the tilt of a vocoder)
   * does not count; a single word could not be centred without losing its sound.
   */
  hear(recordings: readonly Cepstra[]): HeardSet {
    const mean = loudMean(recordings);
    const { loudMean: usual, mean: centre, deviation } = this.model;
    return {
      features: recordings.map(({ data, frames }) => {
        const out = new Float32Array(data.length);
        for (let f = 0; f < frames; f++) {
          for (let d = 0; d < CEPSTRA_WIDTH; d++) {
            const value = data[f * CEPSTRA_WIDTH + d]! - (mean[d]! - usual[d]!);
            out[f * CEPSTRA_WIDTH + d] = (value - centre[d]!) / deviation[d]!;
          }
        }
        return { data: out, frames };
      }),
    };
  }

  /** Which of the words fits a recording best. */
  identify(heard: Cepstra, words: readonly (readonly Syllable[])[]): number {
    const emissions = this.#emissions(heard);
    let best = 0;
    let bestScore = -Infinity;
    for (const [index, word] of words.entries()) {
      const chain = chainOf(word, this.#states);
      const { score } = alignChain(pick(emissions, chain.states), chain.optional);
      if (score <= bestScore) continue;
      best = index;
      bestScore = score;
    }
    return best;
  }

  /** The syllables heard, any after any, as `initial final`. */
  recognise(heard: Cepstra): string[] {
    const words = decodeLoop(this.#emissions(heard), this.#loop);
    return words.flatMap((word) => this.model.sounds[word] ?? []);
  }

  /** Where the finals of known syllables lie; null where the recording is too short to hold them. */
  alignFinals(heard: Cepstra, syllables: readonly Syllable[]): FinalSpan[] | null {
    const chain = chainOf(syllables, this.#states);
    const { path } = alignChain(pick(this.#emissions(heard), chain.states), chain.optional);
    return path.length === 0 ? null : finalSpans(path, chain, syllables.length);
  }

  #statesOf(sound: string): number[] {
    const [initial = '', final = ''] = sound.split(' ');
    return unitsOf({ initial, final }).flatMap((unit) => this.#states.get(unit) ?? []);
  }

  #emissions({ data, frames }: Cepstra): Emissions {
    const nodes = this.#scorer.states;
    const scores = new Float32Array(frames * nodes);
    for (let f = 0; f < frames; f++) {
      for (let state = 0; state < nodes; state++) {
        scores[f * nodes + state] = this.#scorer.score(state, data, f * CEPSTRA_WIDTH);
      }
    }
    return { data: scores, frames, nodes };
  }
}

/** Columns of emissions in a chain's order. */
export function pick({ data, frames, nodes }: Emissions, states: Int32Array): Emissions {
  const out = new Float32Array(frames * states.length);
  for (let f = 0; f < frames; f++) {
    for (let k = 0; k < states.length; k++) out[f * states.length + k] = data[f * nodes + states[k]!]!;
  }
  return { data: out, frames, nodes: states.length };
}

/** Frames of each syllable's final on a path. */
export function finalSpans(path: Int32Array, chain: Chain, syllables: number): FinalSpan[] {
  const spans = Array.from({ length: syllables }, () => ({ start: -1, end: -1 }));
  for (const [frame, node] of path.entries()) {
    const span = spans[chain.owners[node]!];
    if (!span || !chain.isFinal[node]) continue;
    if (span.start < 0) span.start = frame;
    span.end = frame + 1;
  }
  return spans;
}

/** About 15 dB, in the scale of c0. */
const LOUD_BELOW_PEAK = 25;

/** Mean of the frames that are not silence: those within 15 dB of the recording's loudest. */
export function loudMean(recordings: readonly Cepstra[]): Float32Array {
  const sum = new Float64Array(CEPSTRA_WIDTH);
  let count = 0;
  for (const { data, frames } of recordings) {
    let highest = -Infinity;
    for (let f = 0; f < frames; f++) highest = Math.max(highest, data[f * CEPSTRA_WIDTH]!);
    for (let f = 0; f < frames; f++) {
      if (data[f * CEPSTRA_WIDTH]! < highest - LOUD_BELOW_PEAK) continue;
      for (let d = 0; d < CEPSTRA_WIDTH; d++) sum[d] = sum[d]! + data[f * CEPSTRA_WIDTH + d]!;
      count++;
    }
  }
  return Float32Array.from(sum, (value) => value / Math.max(1, count));
}

/** Reads the file that `train-recogniser.ts` wrote. */
export function readRecogniser(path: string): MandarinRecogniser {
  const file = openCheckpoint(path);
  try {
    const floats = (name: string): Float32Array => {
      const found = file.tensors.get(name);
      if (!found) throw new Error(`"${path}" has no "${name}"; train the recogniser anew`);
      return found.readFloat32();
    };
    const metadata = file.data['__metadata__'] as Readonly<Record<string, string>>;
    const { units, sounds, components, hidden, syllableEntry } = JSON.parse(metadata['recogniser'] ?? '{}') as {
      units: string[];
      sounds: string[];
      components: number;
      hidden: number;
      syllableEntry: number;
    };
    const means = floats('means');
    return new MandarinRecogniser({
      units,
      sounds,
      mean: floats('mean'),
      deviation: floats('deviation'),
      loudMean: floats('loud_mean'),
      mixtures: {
        states: means.length / components / CEPSTRA_WIDTH,
        components,
        width: CEPSTRA_WIDTH,
        means,
        logDeviations: floats('log_deviations'),
        logWeights: floats('log_weights'),
      },
      tones: { hidden, input: floats('tone_input'), output: floats('tone_output') },
      syllableEntry,
    });
  } finally {
    file.close();
  }
}
