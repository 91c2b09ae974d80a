import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { realFft } from '../../src/audio/fft.js';
import { output, type Runtime, type Session, tensor } from '../../src/engine/onnxruntime.js';

/** Opinion scores 1 to 5 that DNSMOS predicts: P.835 signal, background and overall, and P.808. */
export interface OpinionScores {
  readonly signal: number;
  readonly background: number;
  readonly overall: number;
  readonly p808: number;
}

const WINDOW_SAMPLES = 144_160;
const HOP_SAMPLES = 16_000;
const P835 = 'dnsmos_sig_bak_ovr.onnx';
const P808 = 'dnsmos_p808.onnx';

/** Where the predictors are looked for: beside the repository, or where TIMBRE_QUALITY says. */
export function defaultQualityFolder(): string {
  return process.env['TIMBRE_QUALITY'] ?? resolve(import.meta.dirname, '../../../shared/quality');
}

export function hasDnsmos(folder: string): boolean {
  return [P835, P808].every((name) => existsSync(join(folder, name)));
}

/** The DNSMOS predictors of microsoft/DNS-Challenge on our runtime. */
export class Dnsmos {
  readonly #p835: Session;
  readonly #p808: Session;

  constructor(folder: string, runtime: Runtime) {
    this.#p835 = runtime.createSession(join(folder, P835));
    this.#p808 = runtime.createSession(join(folder, P808));
  }

  /** Scores of mono audio at 16 kHz, averaged over windows of 9.01 s, a second apart; shorter audio is repeated. */
  score(samples: Float32Array): OpinionScores {
    const audio = repeatToWindow(samples);
    const sums = [0, 0, 0, 0];
    let windows = 0;
    for (let start = 0; start + WINDOW_SAMPLES <= audio.length; start += HOP_SAMPLES) {
      const window = audio.slice(start, start + WINDOW_SAMPLES);
      const [signal, background, overall] = this.#run(this.#p835, tensor('float32', [1, WINDOW_SAMPLES], window));
      const { data, frames } = logMel(window.subarray(0, WINDOW_SAMPLES - 160));
      const [p808] = this.#run(this.#p808, tensor('float32', [1, frames, MEL_BANDS], data));
      const scores = [
        polynomial(signal!, -0.08397278, 1.22083953, 0.0052439),
        polynomial(background!, -0.13166888, 1.60915514, -0.39604546),
        polynomial(overall!, -0.06766283, 1.11546468, 0.04602535),
        p808!,
      ];
      for (const [index, value] of scores.entries()) sums[index] = sums[index]! + value;
      windows++;
    }
    const [signal, background, overall, p808] = sums.map((sum) => sum / windows);
    return { signal: signal!, background: background!, overall: overall!, p808: p808! };
  }

  close(): void {
    this.#p835.close();
    this.#p808.close();
  }

  #run(session: Session, input: ReturnType<typeof tensor<'float32'>>): Float32Array {
    const results = session.run({ [session.inputs[0]!.name]: input });
    return output(results, session.outputs[0]!.name, 'float32').data;
  }
}

export function averageScores(all: readonly OpinionScores[]): OpinionScores {
  const mean = (pick: (one: OpinionScores) => number) => all.reduce((sum, one) => sum + pick(one), 0) / all.length;
  return {
    signal: mean((one) => one.signal),
    background: mean((one) => one.background),
    overall: mean((one) => one.overall),
    p808: mean((one) => one.p808),
  };
}

function polynomial(x: number, square: number, linear: number, constant: number): number {
  return square * x * x + linear * x + constant;
}

function repeatToWindow(samples: Float32Array): Float32Array {
  if (samples.length >= WINDOW_SAMPLES || samples.length === 0) return samples;
  const out = new Float32Array(WINDOW_SAMPLES);
  for (let i = 0; i < out.length; i++) out[i] = samples[i % samples.length]!;
  return out;
}

const MEL_BANDS = 120;
const FFT_SIZE = 321;
const MEL_HOP = 160;
const RANGE_DB = 80;

/** librosa's power mel in dB below the loudest, (frames, bands), scaled as the predictor was trained. */
function logMel(samples: Float32Array): { data: Float32Array; frames: number } {
  const padding = FFT_SIZE >> 1;
  const frames = 1 + Math.floor((samples.length + 2 * padding - FFT_SIZE) / MEL_HOP);
  const fft = realFft(FFT_SIZE);
  const frame = new Float64Array(FFT_SIZE);
  const re = new Float64Array(fft.bins);
  const im = new Float64Array(fft.bins);
  const powers = new Float64Array(frames * MEL_BANDS);
  let highest = 1e-10;
  for (let f = 0; f < frames; f++) {
    const start = f * MEL_HOP - padding;
    for (let i = 0; i < FFT_SIZE; i++) {
      const at = start + i;
      const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FFT_SIZE);
      frame[i] = at >= 0 && at < samples.length ? samples[at]! * window : 0;
    }
    fft.forward(frame, re, im);
    for (let band = 0; band < MEL_BANDS; band++) {
      const { first, weights } = MEL[band]!;
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * (re[first + k]! ** 2 + im[first + k]! ** 2);
      powers[f * MEL_BANDS + band] = sum;
      highest = Math.max(highest, sum);
    }
  }
  const top = 10 * Math.log10(highest);
  const data = Float32Array.from(powers, (power) => {
    const db = Math.max(-RANGE_DB, 10 * Math.log10(Math.max(1e-10, power)) - top);
    return (db + 40) / 40;
  });
  return { data, frames };
}

const MEL = slaneyMel();

/** Triangles of area 2 / width on Slaney's scale from 0 to 8 kHz. */
function slaneyMel(): { first: number; weights: Float64Array }[] {
  const step = Math.log(6.4) / 27;
  const toMel = (hz: number) => (hz < 1000 ? (hz * 3) / 200 : 15 + Math.log(hz / 1000) / step);
  const toHz = (mel: number) => (mel < 15 ? (mel * 200) / 3 : 1000 * Math.exp(step * (mel - 15)));
  const top = toMel(8000);
  const points = Array.from({ length: MEL_BANDS + 2 }, (_, k) => toHz((top * k) / (MEL_BANDS + 1)));
  const bins = (FFT_SIZE >> 1) + 1;
  return Array.from({ length: MEL_BANDS }, (_, band) => {
    const [left, centre, right] = [points[band]!, points[band + 1]!, points[band + 2]!];
    const all = Float64Array.from({ length: bins }, (_, bin) => {
      const hz = (bin * 16_000) / FFT_SIZE;
      const weight = Math.max(0, Math.min((hz - left) / (centre - left), (right - hz) / (right - centre)));
      return (weight * 2) / (right - left);
    });
    const first = Math.max(
      0,
      all.findIndex((weight) => weight > 0),
    );
    const end = all.findLastIndex((weight) => weight > 0) + 1;
    return { first, weights: all.slice(first, Math.max(first, end)) };
  });
}
