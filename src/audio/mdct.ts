import { complexFft, realFft } from './fft.js';

/**
 * The modified discrete cosine transform of `2 · lines` windowed samples, as AAC defines it (ISO/IEC 14496-3, 4.6.11):
 * X[k] = 2 Σ x[n] cos(2π/N (n + n₀)(k + ½)), N = 2 · lines, n₀ = (lines + 1) / 2.
 */
export function createMdct(lines: number): (samples: Float64Array, out: Float64Array) => void {
  const size = 2 * lines;
  const fft = realFft(size);
  const turn = (count: number, angle: (i: number) => number) => ({
    cos: Float64Array.from({ length: count }, (_, i) => Math.cos(angle(i))),
    sin: Float64Array.from({ length: count }, (_, i) => Math.sin(angle(i))),
  });
  // Σ x[n] e^(−2πi (n + n₀)(k + ½) / N) is a transform of x turned before, turned again after.
  const before = turn(size, (n) => (Math.PI * n) / size);
  const after = turn(lines, (k) => (2 * Math.PI * ((lines + 1) / 2) * (k + 0.5)) / size);
  const [real, imaginary] = [new Float64Array(size), new Float64Array(size)];
  const spectra = Array.from({ length: 4 }, () => new Float64Array(fft.bins));
  const [realRe, realIm, imaginaryRe, imaginaryIm] = spectra as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  return (samples, out) => {
    for (let n = 0; n < size; n++) {
      real[n] = samples[n]! * before.cos[n]!;
      imaginary[n] = -samples[n]! * before.sin[n]!;
    }
    fft.forward(real, realRe, realIm);
    fft.forward(imaginary, imaginaryRe, imaginaryIm);
    for (let k = 0; k < lines; k++) {
      const re = realRe[k]! - imaginaryIm[k]!;
      const im = realIm[k]! + imaginaryRe[k]!;
      out[k] = 2 * (re * after.cos[k]! + im * after.sin[k]!);
    }
  };
}

/**
 * The inverse of {@link createMdct}, before windows and overlap take away what mirrors itself: `2 · lines` samples
 * x[n] = 2/N Σ X[k] cos(2π/N (n + n₀)(k + ½)). A transform of `lines / 2` complex values; the lines are not changed.
 */
export function createInverseMdct(lines: number): (spectrum: Float64Array, out: Float64Array) => void {
  const half = lines / 2;
  const transform = complexFft(half);
  const angle = (k: number) => (Math.PI * (8 * k + 1)) / (8 * lines);
  const cos = Float64Array.from({ length: half }, (_, k) => Math.cos(angle(k)));
  const sin = Float64Array.from({ length: half }, (_, k) => Math.sin(angle(k)));
  const [re, im] = [new Float64Array(half), new Float64Array(half)];
  const turned = new Float64Array(lines);
  return (spectrum, out) => {
    // A DCT-IV, Σ X[k] cos(π/lines (n + ½)(k + ½)), of pairs from both ends …
    for (let k = 0; k < half; k++) {
      const a = spectrum[2 * k]!;
      const b = spectrum[lines - 1 - 2 * k]!;
      re[k] = a * cos[k]! + b * sin[k]!;
      im[k] = b * cos[k]! - a * sin[k]!;
    }
    transform(re, im);
    for (let k = 0; k < half; k++) {
      turned[2 * k] = (re[k]! * cos[k]! + im[k]! * sin[k]!) / lines;
      turned[lines - 1 - 2 * k] = (re[k]! * sin[k]! - im[k]! * cos[k]!) / lines;
    }
    // … which the longer output has once as it is and three times mirrored.
    for (let n = 0; n < half; n++) {
      out[n] = turned[half + n]!;
      out[half + n] = -turned[lines - 1 - n]!;
      out[lines + n] = -turned[half - 1 - n]!;
      out[lines + half + n] = -turned[n]!;
    }
  };
}
