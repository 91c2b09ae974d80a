// The frames of the watermark in WebAssembly: how the sound of a frame changes when the cells of its spectrum become louder
// or softer. AssemblyScript (TypeScript's syntax), compiled by `npm run build:kernels` to ../data/watermark.wasm.
//
// Only bins below 128 of a frame's N change. A frame is therefore taken as N / 128 sequences of 128 samples, each every
// N / 128th: their transforms are combined into the bins that change (decimation in time), and the changes go back the same
// way. Two sequences are the real and imaginary part of one complex transform, four such transforms the lanes of a vector.
// Lanes beyond N / 256 have zero factors. Each frame is computed by itself, so that a stream may be cut anywhere.

import {
  BIN_CHANGES,
  BIN_FACTORS,
  BINS,
  CHANGE,
  FIRST_BIN,
  GAINS,
  INPUT,
  LANE_FACTORS,
  OUTPUT,
  SPECTRUM,
  TAIL,
  TRANSFORM_FACTORS,
  WINDOW,
} from '../watermark-memory';

/** Samples of a sequence. */
const LENGTH: i32 = 128;
/** Bytes of a complex vector. */
const VECTOR: i32 = 32;

/**
 * Marks a frame of `pairs * 256` samples, which begins `frame` halves of it after INPUT, with the gains of a time: half a
 * frame of OUTPUT is then done.
 */
export function mark(pairs: i32, frame: i32, gains: i32): void {
  const hop = pairs * LENGTH;
  const input = INPUT + ((frame * hop) << 2);
  const groups = (pairs + 3) >> 2;
  for (let group = 0; group < groups; group++) take(input, pairs, group);
  for (let group = 0; group < groups; group++) transform(SPECTRUM + group * LENGTH * VECTOR);
  combine(groups, gains);
  for (let group = 0; group < groups; group++) invert(SPECTRUM + group * LENGTH * VECTOR);
  spread(pairs, groups);
  overlap(input, OUTPUT + ((frame * hop) << 2), hop << 2);
}

/** The windowed samples of a group's sequences: the first of each pair as real, the second as imaginary part. */
function take(input: i32, pairs: i32, group: i32): void {
  const step = pairs << 3;
  const second = pairs << 2;
  let place = SPECTRUM + group * LENGTH * VECTOR;
  let sample = group << 4;
  for (let i = 0; i < LENGTH; i++) {
    const other = sample + second;
    v128.store(place, f32x4.mul(v128.load(input + sample), v128.load(WINDOW + sample)));
    v128.store(place, f32x4.mul(v128.load(input + other), v128.load(WINDOW + other)), 16);
    place += VECTOR;
    sample += step;
  }
}

/** In place; bins come out in reversed order of bits. */
function transform(data: i32): void {
  for (let half = LENGTH >> 1; half >= 1; half >>= 1) {
    const span = half * VECTOR;
    const stride = (LENGTH >> 1) / half;
    for (let k = 0; k < half; k++) {
      const factor = TRANSFORM_FACTORS + ((k * stride) << 3);
      const c = f32x4.splat(load<f32>(factor));
      const s = f32x4.splat(load<f32>(factor, 4));
      for (let a = data + k * VECTOR; a < data + LENGTH * VECTOR; a += 2 * span) {
        const b = a + span;
        const aRe = v128.load(a);
        const aIm = v128.load(a, 16);
        const bRe = v128.load(b);
        const bIm = v128.load(b, 16);
        const re = f32x4.sub(aRe, bRe);
        const im = f32x4.sub(aIm, bIm);
        v128.store(a, f32x4.add(aRe, bRe));
        v128.store(a, f32x4.add(aIm, bIm), 16);
        v128.store(b, f32x4.add(f32x4.mul(re, c), f32x4.mul(im, s)));
        v128.store(b, f32x4.sub(f32x4.mul(im, c), f32x4.mul(re, s)), 16);
      }
    }
  }
}

/** In place, from bins in reversed order of bits; 128 times the samples. */
function invert(data: i32): void {
  for (let half = 1; half < LENGTH; half <<= 1) {
    const span = half * VECTOR;
    const stride = (LENGTH >> 1) / half;
    for (let k = 0; k < half; k++) {
      const factor = TRANSFORM_FACTORS + ((k * stride) << 3);
      const c = f32x4.splat(load<f32>(factor));
      const s = f32x4.splat(load<f32>(factor, 4));
      for (let a = data + k * VECTOR; a < data + LENGTH * VECTOR; a += 2 * span) {
        const b = a + span;
        const bRe = v128.load(b);
        const bIm = v128.load(b, 16);
        const re = f32x4.sub(f32x4.mul(bRe, c), f32x4.mul(bIm, s));
        const im = f32x4.add(f32x4.mul(bIm, c), f32x4.mul(bRe, s));
        const aRe = v128.load(a);
        const aIm = v128.load(a, 16);
        v128.store(a, f32x4.add(aRe, re));
        v128.store(a, f32x4.add(aIm, im), 16);
        v128.store(b, f32x4.sub(aRe, re));
        v128.store(b, f32x4.sub(aIm, im), 16);
      }
    }
  }
}

/** Puts the spectra of what changes in place of the sequences' own. */
function combine(groups: i32, gains: i32): void {
  for (let bin = 0; bin < BINS; bin++) {
    const k = FIRST_BIN + bin;
    const turn = BIN_FACTORS + (bin << 3);
    const c = f32x4.splat(load<f32>(turn));
    const s = f32x4.splat(load<f32>(turn, 4));
    let sumRe = f32x4.splat(0);
    let sumIm = f32x4.splat(0);
    for (let group = 0; group < groups; group++) {
      const own = placeOf(group, k);
      const mirror = placeOf(group, LENGTH - k);
      const ownRe = v128.load(own);
      const ownIm = v128.load(own, 16);
      const mirrorRe = v128.load(mirror);
      const mirrorIm = v128.load(mirror, 16);
      // Twice the bins of the two sequences.
      const firstRe = f32x4.add(ownRe, mirrorRe);
      const firstIm = f32x4.sub(ownIm, mirrorIm);
      const secondRe = f32x4.add(ownIm, mirrorIm);
      const secondIm = f32x4.sub(mirrorRe, ownRe);
      const bothRe = f32x4.add(firstRe, f32x4.add(f32x4.mul(c, secondRe), f32x4.mul(s, secondIm)));
      const bothIm = f32x4.add(firstIm, f32x4.sub(f32x4.mul(c, secondIm), f32x4.mul(s, secondRe)));
      const lanes = lanesOf(group, bin);
      const laneC = v128.load(lanes);
      const laneS = v128.load(lanes, 16);
      sumRe = f32x4.add(sumRe, f32x4.add(f32x4.mul(laneC, bothRe), f32x4.mul(laneS, bothIm)));
      sumIm = f32x4.add(sumIm, f32x4.sub(f32x4.mul(laneC, bothIm), f32x4.mul(laneS, bothRe)));
    }
    // Two bins have one gain.
    const gain = load<f32>(gains + ((bin >> 1) << 2));
    const bins = BIN_CHANGES + (bin << 3);
    store<f32>(bins, gain * sumOf(sumRe));
    store<f32>(bins, gain * sumOf(sumIm), 4);
  }
  memory.fill(SPECTRUM, 0, groups * LENGTH * VECTOR);
  for (let bin = 0; bin < BINS; bin++) {
    const k = FIRST_BIN + bin;
    const turn = BIN_FACTORS + (bin << 3);
    const c = f32x4.splat(load<f32>(turn));
    const s = f32x4.splat(load<f32>(turn, 4));
    const bins = BIN_CHANGES + (bin << 3);
    const re = f32x4.splat(load<f32>(bins));
    const im = f32x4.splat(load<f32>(bins, 4));
    for (let group = 0; group < groups; group++) {
      const lanes = lanesOf(group, bin);
      const laneC = v128.load(lanes);
      const laneS = v128.load(lanes, 16);
      const firstRe = f32x4.sub(f32x4.mul(laneC, re), f32x4.mul(laneS, im));
      const firstIm = f32x4.add(f32x4.mul(laneC, im), f32x4.mul(laneS, re));
      const secondRe = f32x4.sub(f32x4.mul(c, firstRe), f32x4.mul(s, firstIm));
      const secondIm = f32x4.add(f32x4.mul(c, firstIm), f32x4.mul(s, firstRe));
      add(placeOf(group, k), f32x4.sub(firstRe, secondIm), f32x4.add(firstIm, secondRe));
      add(placeOf(group, LENGTH - k), f32x4.add(firstRe, secondIm), f32x4.sub(secondRe, firstIm));
    }
  }
}

/**
 * What changes in the frame, from the sequences. Lanes beyond the pairs are written as well, and then over: places are in
 * order.
 */
function spread(pairs: i32, groups: i32): void {
  let sample = CHANGE;
  for (let i = 0; i < LENGTH; i++) {
    for (let part = 0; part < 2; part++) {
      for (let group = 0; group < groups; group++) {
        v128.store(sample + (group << 4), v128.load(SPECTRUM + (group * LENGTH + i) * VECTOR + (part << 4)));
      }
      sample += pairs << 2;
    }
  }
}

/** The sound, what the frame before changes in its second half, and what this one changes in its first. */
function overlap(input: i32, output: i32, bytes: i32): void {
  for (let i = 0; i < bytes; i += 16) {
    const own = f32x4.mul(v128.load(CHANGE + i), v128.load(WINDOW + i));
    v128.store(output + i, f32x4.add(v128.load(input + i), f32x4.add(v128.load(TAIL + i), own)));
    v128.store(TAIL + i, f32x4.mul(v128.load(CHANGE + bytes + i), v128.load(WINDOW + bytes + i)));
  }
}

/** Where a bin of a group's transforms is: its number with the seven bits reversed. */
@inline
function placeOf(group: i32, bin: i32): i32 {
  let reversed = ((bin & 0x55) << 1) | ((bin >> 1) & 0x55);
  reversed = ((reversed & 0x33) << 2) | ((reversed >> 2) & 0x33);
  reversed = ((reversed & 0x0f) << 4) | (reversed >> 4);
  return SPECTRUM + (group * LENGTH + (reversed >> 1)) * VECTOR;
}

@inline
function lanesOf(group: i32, bin: i32): i32 {
  return LANE_FACTORS + (group * BINS + bin) * VECTOR;
}

@inline
function add(place: i32, re: v128, im: v128): void {
  v128.store(place, f32x4.add(v128.load(place), re));
  v128.store(place, f32x4.add(v128.load(place, 16), im), 16);
}

@inline
function sumOf(vector: v128): f32 {
  return (
    f32x4.extract_lane(vector, 0) +
    f32x4.extract_lane(vector, 1) +
    (f32x4.extract_lane(vector, 2) + f32x4.extract_lane(vector, 3))
  );
}
