import { uniformAt } from '../../src/engine/random.js';
import { forward, TONE_FEATURES, type ToneNetwork, type ToneShape, toneFeatures } from './tones.js';

/** A word's syllables: their pitch (null: not heard) and their tones. */
export interface ToneWord {
  readonly shapes: readonly (ToneShape | null)[];
  readonly tones: readonly number[];
}

const HIDDEN = 24;
const PASSES = 30;
const LEARNING_RATE = 3e-3;
const TEST_EVERY = 10;

/**
 * Learns tones 1 to 4 of words, half of them as if another word stood on either side, as in the sentences that the demo
 * voice speaks. Returns the network, and the share of tones right on every tenth word, which is not learnt from.
 */
export function trainToneNetwork(words: readonly ToneWord[]): { network: ToneNetwork; right: number } {
  const draw = counter();
  const learnt = words.filter((_, index) => index % TEST_EVERY !== 0);
  const initial = (length: number, scale: number) => Float32Array.from({ length }, () => (2 * draw() - 1) * scale);
  const network: ToneNetwork = {
    hidden: HIDDEN,
    input: initial(HIDDEN * (TONE_FEATURES + 1), 0.3),
    output: initial(4 * (HIDDEN + 1), 0.3),
  };
  const optimiser = adam([network.input, network.output]);
  const steps = PASSES * learnt.length;
  for (let step = 0; step < steps; step++) {
    const word = learnt[Math.floor(draw() * learnt.length)]!;
    const glued = draw() < 0.5;
    const left = glued ? learnt[Math.floor(draw() * learnt.length)]!.shapes.at(-1) : null;
    const right = glued ? learnt[Math.floor(draw() * learnt.length)]!.shapes[0] : null;
    const rate = LEARNING_RATE * (1 - step / steps);
    for (const [index, tone] of word.tones.entries()) {
      const shape = word.shapes[index];
      if (!shape || tone > 4) continue;
      const before = index > 0 ? word.shapes[index - 1] : left;
      const after = index + 1 < word.shapes.length ? word.shapes[index + 1] : right;
      optimiser(gradients(network, toneFeatures(shape, before ?? null, after ?? null), tone - 1), rate);
    }
  }
  let right = 0;
  let total = 0;
  for (const word of words.filter((_, index) => index % TEST_EVERY === 0)) {
    for (const [index, tone] of word.tones.entries()) {
      if (tone > 4) continue;
      total++;
      const shape = word.shapes[index];
      if (!shape) continue;
      const features = toneFeatures(shape, word.shapes[index - 1] ?? null, word.shapes[index + 1] ?? null);
      const scores = forward(network, features).output;
      if (scores.indexOf(Math.max(...scores)) === tone - 1) right++;
    }
  }
  return { network, right: right / Math.max(1, total) };
}

function gradients(network: ToneNetwork, features: Float32Array, target: number): [Float32Array, Float32Array] {
  const { hidden, output } = forward(network, features);
  const highest = Math.max(...output);
  const powers = output.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((total, value) => total + value, 0);
  const errors = powers.map((value, tone) => value / sum - (tone === target ? 1 : 0));
  const row = TONE_FEATURES + 1;
  const input = new Float32Array(network.input.length);
  const out = new Float32Array(network.output.length);
  for (let unit = 0; unit <= HIDDEN; unit++) {
    const value = hidden[unit] ?? 1;
    let back = 0;
    for (let tone = 0; tone < 4; tone++) {
      out[tone * (HIDDEN + 1) + unit] = errors[tone]! * value;
      back += errors[tone]! * network.output[tone * (HIDDEN + 1) + unit]!;
    }
    if (unit === HIDDEN) continue;
    const slope = back * (1 - value * value);
    for (let k = 0; k < row; k++) input[unit * row + k] = slope * (features[k] ?? 1);
  }
  return [input, out];
}

function adam(parameters: readonly Float32Array[]): (gradient: readonly Float32Array[], rate: number) => void {
  const first = parameters.map((values) => new Float32Array(values.length));
  const second = parameters.map((values) => new Float32Array(values.length));
  let step = 0;
  return (gradient, rate) => {
    step++;
    const [b1, b2] = [1 - 0.9 ** step, 1 - 0.999 ** step];
    for (const [index, values] of parameters.entries()) {
      const [m, v, g] = [first[index]!, second[index]!, gradient[index]!];
      for (let i = 0; i < values.length; i++) {
        m[i] = 0.9 * m[i]! + 0.1 * g[i]!;
        v[i] = 0.999 * v[i]! + 0.001 * g[i]! ** 2;
        values[i] = values[i]! - (rate * (m[i]! / b1)) / (Math.sqrt(v[i]! / b2) + 1e-8);
      }
    }
  };
}

/** Uniform numbers, the same at every run. */
function counter(): () => number {
  let at = 0;
  return () => uniformAt({ seed: 4, sentence: 0 }, at++, 0, 0);
}
