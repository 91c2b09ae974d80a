/** The half spectrum of a real signal: bins 0 … size / 2. */
export interface RealFft {
  readonly size: number;
  readonly bins: number;
  /** Transforms `size` samples; writes `bins` values each. The input is not changed. */
  forward(samples: Float64Array, real: Float64Array, imaginary: Float64Array): void;
  /** The inverse: samples from the half spectrum, whose first imaginary part, and last of an even size, count as zero. */
  inverse(real: Float64Array, imaginary: Float64Array, samples: Float64Array): void;
}

const plans = new Map<number, RealFft>();

/**
 * A plan for real transforms of one size, in double precision: radix 2 for powers of two, Bluestein's algorithm for
 * any other size (the 1280 of a v4 mel). Plans hold their tables and scratch space, and are kept.
 */
export function realFft(size: number): RealFft {
  let plan = plans.get(size);
  if (!plan) {
    if (!Number.isInteger(size) || size < 2) throw new Error(`FFT size ${size}; expected an integer of 2 or more`);
    plan = isPowerOfTwo(size) ? powerOfTwoPlan(size) : bluesteinPlan(size);
    plans.set(size, plan);
  }
  return plan;
}

/** Real transform of N as a complex one of N / 2 of (even, odd) pairs, then untangled. */
function powerOfTwoPlan(size: number): RealFft {
  const half = size / 2;
  const transform = half > 1 ? complexFft(half) : () => {};
  const re = new Float64Array(half);
  const im = new Float64Array(half);
  const cos = Float64Array.from({ length: half + 1 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
  const sin = Float64Array.from({ length: half + 1 }, (_, k) => Math.sin((2 * Math.PI * k) / size));
  return {
    size,
    bins: half + 1,
    forward(samples, real, imaginary) {
      for (let i = 0; i < half; i++) {
        re[i] = samples[2 * i]!;
        im[i] = samples[2 * i + 1]!;
      }
      transform(re, im);
      for (let k = 0; k <= half; k++) {
        const a = k === half ? 0 : k;
        const b = k === 0 ? 0 : half - k;
        const evenRe = (re[a]! + re[b]!) / 2;
        const evenIm = (im[a]! - im[b]!) / 2;
        const oddRe = (im[a]! + im[b]!) / 2;
        const oddIm = (re[b]! - re[a]!) / 2;
        real[k] = evenRe + cos[k]! * oddRe + sin[k]! * oddIm;
        imaginary[k] = evenIm + cos[k]! * oddIm - sin[k]! * oddRe;
      }
    },
    inverse(real, imaginary, samples) {
      // Tangled again, as the conjugate: the inverse transform is the forward one of the conjugate.
      for (let k = 0; k < half; k++) {
        const mirror = half - k;
        const ownIm = k === 0 ? 0 : imaginary[k]!;
        const mirrorIm = k === 0 ? 0 : imaginary[mirror]!;
        const evenRe = (real[k]! + real[mirror]!) / 2;
        const evenIm = (ownIm - mirrorIm) / 2;
        const differenceRe = (real[k]! - real[mirror]!) / 2;
        const differenceIm = (ownIm + mirrorIm) / 2;
        const oddRe = cos[k]! * differenceRe - sin[k]! * differenceIm;
        const oddIm = cos[k]! * differenceIm + sin[k]! * differenceRe;
        re[k] = evenRe - oddIm;
        im[k] = -(evenIm + oddRe);
      }
      transform(re, im);
      for (let i = 0; i < half; i++) {
        samples[2 * i] = re[i]! / half;
        samples[2 * i + 1] = -im[i]! / half;
      }
    },
  };
}

/** A transform of any size as a convolution with a chirp, which a power of two can do. */
function bluesteinPlan(size: number): RealFft {
  const bins = Math.floor(size / 2) + 1;
  const padded = 2 ** Math.ceil(Math.log2(2 * size - 1));
  const transform = complexFft(padded);
  // k² modulo 2 × size keeps the angle small and exact.
  const angle = (k: number) => (Math.PI * ((k * k) % (2 * size))) / size;
  const cos = Float64Array.from({ length: size }, (_, k) => Math.cos(angle(k)));
  const sin = Float64Array.from({ length: size }, (_, k) => Math.sin(angle(k)));
  const chirpRe = new Float64Array(padded);
  const chirpIm = new Float64Array(padded);
  for (let k = 0; k < size; k++) {
    const mirror = (padded - k) % padded;
    chirpRe[k] = chirpRe[mirror] = cos[k]!;
    chirpIm[k] = chirpIm[mirror] = sin[k]!;
  }
  transform(chirpRe, chirpIm);
  const re = new Float64Array(padded);
  const im = new Float64Array(padded);
  return {
    size,
    bins,
    forward(samples, real, imaginary) {
      re.fill(0, size);
      im.fill(0, size);
      for (let i = 0; i < size; i++) {
        re[i] = samples[i]! * cos[i]!;
        im[i] = -samples[i]! * sin[i]!;
      }
      transform(re, im);
      // The inverse transform is the forward one of the conjugate; the conjugate of the product is written here.
      for (let i = 0; i < padded; i++) {
        const a = re[i]!;
        const b = im[i]!;
        re[i] = a * chirpRe[i]! - b * chirpIm[i]!;
        im[i] = -(a * chirpIm[i]! + b * chirpRe[i]!);
      }
      transform(re, im);
      for (let k = 0; k < bins; k++) {
        const a = re[k]! / padded;
        const b = -im[k]! / padded;
        real[k] = a * cos[k]! + b * sin[k]!;
        imaginary[k] = b * cos[k]! - a * sin[k]!;
      }
    },
    inverse(real, imaginary, samples) {
      inverseByForward(this, real, imaginary, samples);
    },
  };
}

/** In-place iterative radix-2 transform of a power of two. */
export function complexFft(size: number): (re: Float64Array, im: Float64Array) => void {
  const bits = Math.log2(size);
  const reversed = Uint32Array.from({ length: size }, (_, i) => {
    let value = 0;
    for (let bit = 0; bit < bits; bit++) value |= ((i >> bit) & 1) << (bits - 1 - bit);
    return value;
  });
  const cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
  const sin = Float64Array.from({ length: size / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / size));
  return (re, im) => {
    for (let i = 0; i < size; i++) {
      const j = reversed[i]!;
      if (j <= i) continue;
      const a = re[i]!;
      const b = im[i]!;
      re[i] = re[j]!;
      im[i] = im[j]!;
      re[j] = a;
      im[j] = b;
    }
    // The first two rounds have no angle but quarter turns.
    for (let i = 0; i + 3 < size; i += 4) {
      const aRe = re[i]! + re[i + 1]!;
      const aIm = im[i]! + im[i + 1]!;
      const bRe = re[i]! - re[i + 1]!;
      const bIm = im[i]! - im[i + 1]!;
      const cRe = re[i + 2]! + re[i + 3]!;
      const cIm = im[i + 2]! + im[i + 3]!;
      const dRe = re[i + 2]! - re[i + 3]!;
      const dIm = im[i + 2]! - im[i + 3]!;
      re[i] = aRe + cRe;
      im[i] = aIm + cIm;
      re[i + 1] = bRe + dIm;
      im[i + 1] = bIm - dRe;
      re[i + 2] = aRe - cRe;
      im[i + 2] = aIm - cIm;
      re[i + 3] = bRe - dIm;
      im[i + 3] = bIm + dRe;
    }
    for (let half = size < 4 ? 1 : 4; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let block = 0; block < size; block += 2 * half) {
        for (let k = 0; k < half; k++) {
          const c = cos[k * stride]!;
          const s = sin[k * stride]!;
          const i = block + k;
          const j = i + half;
          const a = re[j]! * c + im[j]! * s;
          const b = im[j]! * c - re[j]! * s;
          re[j] = re[i]! - a;
          im[j] = im[i]! - b;
          re[i] = re[i]! + a;
          im[i] = im[i]! + b;
        }
      }
    }
  };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}

/** The inverse of any size, by two forward transforms of the whole, mirrored spectrum. */
function inverseByForward(fft: RealFft, real: Float64Array, imaginary: Float64Array, samples: Float64Array): void {
  const { size, bins } = fft;
  const scratch = inverseScratch(fft);
  // x[n] = 1/N Σ X[k] e^{+2πikn/N}. With X = A + iB of a real signal, A is even and B odd in k, so that
  // x[n] = 1/N (Re F(A)[n] + Im F(B)[n]) where F is the forward transform of the real sequences A and B.
  const { even, odd, re, im } = scratch;
  for (let k = 0; k < bins; k++) {
    const mirror = (size - k) % size;
    even[k] = even[mirror] = real[k]!;
    const b = k === 0 || 2 * k === size ? 0 : imaginary[k]!;
    odd[k] = b;
    odd[mirror] = k === mirror ? b : -b;
  }
  fft.forward(even, re, im);
  for (let n = 0; n < bins; n++) {
    samples[n] = re[n]! / size;
    if (n > 0) samples[size - n] = re[n]! / size;
  }
  fft.forward(odd, re, im);
  for (let n = 1; n < bins; n++) {
    if (2 * n === size) continue;
    samples[n] = samples[n]! + im[n]! / size;
    samples[size - n] = samples[size - n]! - im[n]! / size;
  }
}

interface InverseScratch {
  readonly even: Float64Array;
  readonly odd: Float64Array;
  readonly re: Float64Array;
  readonly im: Float64Array;
}

const inverseScratches = new WeakMap<RealFft, InverseScratch>();

function inverseScratch(fft: RealFft): InverseScratch {
  let scratch = inverseScratches.get(fft);
  if (scratch === undefined) {
    const whole = () => new Float64Array(fft.size);
    const half = () => new Float64Array(fft.bins);
    scratch = { even: whole(), odd: whole(), re: half(), im: half() };
    inverseScratches.set(fft, scratch);
  }
  return scratch;
}
