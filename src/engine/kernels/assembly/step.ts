// A step of the text-to-semantic network in WebAssembly: one new token for each row, over weights and a key/value cache of
// 8 bits. AssemblyScript (TypeScript's syntax), compiled by `npm run build:kernels` to ../../data/step.wasm.
//
// A step is a sequence of phases, a phase a number of pieces that threads claim one by one. Whoever comes late finds less to
// do, so nobody waits for a thread that the system has not woken. Sums of products are whole numbers: a row's results do not
// depend on its neighbours, the number of rows, nor who computed what.

import {
  ADAPTER_A,
  ADAPTER_B,
  ADAPTER_ENTRY,
  ADAPTERS,
  ATTENDED,
  ATTENTION_SCALE,
  CHANGE,
  CLAIM,
  DONE,
  EMBEDDINGS,
  EPOCH,
  HEAD_WIDTH,
  HEADS,
  INNER,
  INNER_WIDTH,
  INWARD,
  KEY_STEPS,
  KEYS,
  LAYER,
  LAYER_SIZE,
  LAYER_TABLE,
  LAYERS,
  LENGTHS,
  LOGITS,
  MAX_LENGTH,
  MOST_RANKS,
  NORM1,
  NORM2,
  NORM_BIAS,
  OUT,
  OUTWARD,
  PHASE,
  POSITIONS,
  PRODUCT_BIAS,
  PRODUCT_SCALES,
  QKV,
  QUANTISED,
  QUANTISED_SCALES,
  REDUCED,
  ROWS,
  SCRATCH,
  SCRATCH_SIZE,
  SINES,
  SLEEPERS,
  STOP,
  TOKENS,
  VALUE_STEPS,
  VALUES,
  VOCABULARY,
  WIDTH,
  X,
} from '../step-words';

// Phases. A piece is a row, a head, or some outputs of a product.
const EMBED: i32 = 0;
const ATTEND: i32 = 1;
const AFTER_ATTENTION: i32 = 2;
const MULTIPLY_OUT: i32 = 3;
const AFTER_OUT: i32 = 4;
const MULTIPLY_INWARD: i32 = 5;
const AFTER_INWARD: i32 = 6;
const MULTIPLY_OUTWARD: i32 = 7;
const AFTER_OUTWARD: i32 = 8;
const MULTIPLY_HEAD: i32 = 9;

// Products, as adapters count them.
const QKV_PRODUCT: i32 = 0;
const OUT_PRODUCT: i32 = 1;
const INWARD_PRODUCT: i32 = 2;
const OUTWARD_PRODUCT: i32 = 3;

/** Inputs times groups of four outputs of a piece of a product: 16 KB of weights. */
const PIECE: i32 = 4096;
/** About 100 µs. */
const SPINS_BEFORE_SLEEP: i32 = 50_000;

/** Runs a step; other threads help while they are in `serve`. `p` is the block of parameters. */
export function step(p: usize): void {
  const rows = load<i32>(p, ROWS);
  const layers = load<i32>(p, LAYERS);
  const heads = load<i32>(p, HEADS);
  const width = load<i32>(p, WIDTH);
  const attentionWidth = heads * load<i32>(p, HEAD_WIDTH);
  const innerWidth = load<i32>(p, INNER_WIDTH);
  run(p, EMBED, 0, rows);
  for (let layer = 0; layer < layers; layer++) {
    run(p, ATTEND, layer, heads);
    run(p, AFTER_ATTENTION, layer, rows);
    run(p, MULTIPLY_OUT, layer, piecesOf(width, attentionWidth));
    run(p, AFTER_OUT, layer, rows);
    run(p, MULTIPLY_INWARD, layer, piecesOf(innerWidth, width));
    run(p, AFTER_INWARD, layer, rows);
    run(p, MULTIPLY_OUTWARD, layer, piecesOf(width, innerWidth));
    run(p, AFTER_OUTWARD, layer, rows);
  }
  run(p, MULTIPLY_HEAD, layers, piecesOf(load<i32>(p, VOCABULARY), width));
}

/** Writes `count` positions of a head, (count, headWidth) floats, to the cache, each column divided by its step. */
export function quantisePositions(from: usize, steps: usize, to: usize, headWidth: i32, count: i32): void {
  for (let position = 0; position < count; position++) {
    append(from, steps, to, headWidth);
    from += <usize>headWidth << 2;
    to += <usize>headWidth;
  }
}

/** Helps with steps until the word STOP is set. */
export function serve(p: usize, thread: i32): void {
  let spins = 0;
  while (atomic.load<i32>(p + STOP) == 0) {
    if (workOnce(p, thread)) {
      spins = 0;
      continue;
    }
    if (++spins < SPINS_BEFORE_SLEEP) continue;
    spins = 0;
    const epoch = atomic.load<i32>(p + EPOCH);
    atomic.add<i32>(p + SLEEPERS, 1);
    // Whoever opens a phase after this look sees a sleeper, and changes the epoch.
    if (!isOpen(atomic.load<i32>(p + CLAIM)) && atomic.load<i32>(p + STOP) == 0) atomic.wait<i32>(p + EPOCH, epoch, -1);
    atomic.sub<i32>(p + SLEEPERS, 1);
  }
}

/** Opens a phase of `total` pieces, works on it, and waits until the last piece is done. */
function run(p: usize, phase: i32, layer: i32, total: i32): void {
  store<i32>(p, phase, PHASE);
  store<i32>(p, layer, LAYER);
  atomic.store<i32>(p + DONE, 0);
  atomic.store<i32>(p + CLAIM, total << 16);
  if (total > 1 && atomic.load<i32>(p + SLEEPERS) > 0) {
    atomic.add<i32>(p + EPOCH, 1);
    atomic.notify(p + EPOCH, -1);
  }
  while (isOpen(atomic.load<i32>(p + CLAIM))) workOnce(p, 0);
  let spins = 0;
  while (atomic.load<i32>(p + DONE) < total) {
    if (++spins < SPINS_BEFORE_SLEEP) continue;
    // Whoever holds the last piece may be waiting for this very processor.
    atomic.wait<i32>(p + STOP, 0, 50_000);
    spins = 0;
  }
}

@inline
function isOpen(claim: i32): bool {
  return (claim & 0xffff) < claim >>> 16;
}

/** Claims a piece and computes it; false when none was to be had. */
function workOnce(p: usize, thread: i32): bool {
  const claim = atomic.load<i32>(p + CLAIM);
  if (!isOpen(claim)) return false;
  if (atomic.cmpxchg<i32>(p + CLAIM, claim, claim + 1) != claim) return true;
  // The phase cannot end before this piece is done, so its words stay as they are.
  compute(p, claim & 0xffff, thread);
  atomic.add<i32>(p + DONE, 1);
  return true;
}

function groupsAtATime(inputs: i32): i32 {
  return max<i32>(1, PIECE / inputs);
}

function piecesOf(outputs: i32, inputs: i32): i32 {
  const groups = groupsAtATime(inputs);
  return ((outputs >> 2) + groups - 1) / groups;
}

function compute(p: usize, piece: i32, thread: i32): void {
  const index = load<i32>(p, LAYER);
  const layer = <usize>load<u32>(p, LAYER_TABLE) + <usize>(index * LAYER_SIZE);
  const width = load<i32>(p, WIDTH);
  const attentionWidth = load<i32>(p, HEADS) * load<i32>(p, HEAD_WIDTH);
  const innerWidth = load<i32>(p, INNER_WIDTH);
  switch (load<i32>(p, PHASE)) {
    case EMBED: {
      const x = rowOf(p, X, piece, width);
      embed(p, piece, x, width);
      prepare(p, 0, QKV_PRODUCT, piece, x, width);
      break;
    }
    case ATTEND:
      attendHead(p, layer, index, piece, thread);
      break;
    case AFTER_ATTENTION:
      prepare(p, index, OUT_PRODUCT, piece, rowOf(p, ATTENDED, piece, attentionWidth), attentionWidth);
      break;
    case MULTIPLY_OUT:
      multiplyPiece(p, layer + OUT, index, OUT_PRODUCT, piece, attentionWidth, width, CHANGE);
      break;
    case AFTER_OUT: {
      const x = rowOf(p, X, piece, width);
      addNorm(x, rowOf(p, CHANGE, piece, width), layer + NORM1, width);
      prepare(p, index, INWARD_PRODUCT, piece, x, width);
      break;
    }
    case MULTIPLY_INWARD:
      multiplyPiece(p, layer + INWARD, index, INWARD_PRODUCT, piece, width, innerWidth, INNER);
      break;
    case AFTER_INWARD: {
      const inner = rowOf(p, INNER, piece, innerWidth);
      rectify(inner, innerWidth);
      prepare(p, index, OUTWARD_PRODUCT, piece, inner, innerWidth);
      break;
    }
    case MULTIPLY_OUTWARD:
      multiplyPiece(p, layer + OUTWARD, index, OUTWARD_PRODUCT, piece, innerWidth, width, CHANGE);
      break;
    case AFTER_OUTWARD: {
      const x = rowOf(p, X, piece, width);
      addNorm(x, rowOf(p, CHANGE, piece, width), layer + NORM2, width);
      prepare(p, index + 1, QKV_PRODUCT, piece, x, width);
      break;
    }
    case MULTIPLY_HEAD:
      multiplyPiece(p, layer, index, QKV_PRODUCT, piece, width, load<i32>(p, VOCABULARY), LOGITS);
      break;
  }
}

/** The address of a row of floats in the array that `word` names. */
@inline
function rowOf(p: usize, word: i32, row: i32, width: i32): usize {
  return <usize>load<u32>(p + <usize>word) + ((<usize>row * <usize>width) << 2);
}

/** The entry of a row's adapter for a product, or 0. The head, which no adapter changes, comes after the last layer. */
@inline
function adapterEntry(p: usize, row: i32, layer: i32, product: i32): usize {
  const table = <usize>load<u32>(<usize>load<u32>(p, ADAPTERS) + (<usize>row << 2));
  if (table == 0 || layer >= load<i32>(p, LAYERS)) return 0;
  const entry = table + <usize>((layer * 4 + product) * ADAPTER_ENTRY);
  return load<i32>(entry) > 0 ? entry : 0;
}

/** Readies the inputs of a product of one row: 16 bits for the weights, floats times the first matrix of its adapter. */
function prepare(p: usize, layer: i32, product: i32, row: i32, from: usize, inputs: i32): void {
  quantise(p, row, from, inputs);
  const entry = adapterEntry(p, row, layer, product);
  if (entry == 0) return;
  const ranks = load<i32>(entry);
  const reduced = rowOf(p, REDUCED, row, MOST_RANKS);
  const bytes = <usize>inputs << 2;
  let a = <usize>load<u32>(entry, ADAPTER_A);
  for (let rank = 0; rank < ranks; rank++) {
    let sums = f32x4.splat(0);
    for (let at: usize = 0; at < bytes; at += 16) {
      sums = f32x4.add(sums, f32x4.mul(v128.load(from + at), v128.load(a + at)));
    }
    store<f32>(reduced + (<usize>rank << 2), sumOf(sums));
    a += bytes;
  }
}

/** Adds what the rows' adapters change in `count` outputs from `first` on; `to` is the first of them, of the first row. */
function addAdapters(
  p: usize,
  layer: i32,
  product: i32,
  first: i32,
  count: i32,
  outputs: i32,
  to: usize,
  stride: usize,
): void {
  const rows = load<i32>(p, ROWS);
  for (let row = 0; row < rows; row++) {
    const entry = adapterEntry(p, row, layer, product);
    if (entry == 0) continue;
    const ranks = load<i32>(entry);
    const reduced = rowOf(p, REDUCED, row, MOST_RANKS);
    const b = <usize>load<u32>(entry, ADAPTER_B) + (<usize>first << 2);
    const out = to + <usize>row * stride;
    for (let output: usize = 0; output < <usize>count << 2; output += 16) {
      let sums = v128.load(out + output);
      let column = b + output;
      for (let rank = 0; rank < ranks; rank++) {
        sums = f32x4.add(sums, f32x4.mul(v128.load(column), v128.load_splat<f32>(reduced + (<usize>rank << 2))));
        column += <usize>outputs << 2;
      }
      v128.store(out + output, sums);
    }
  }
}

/** x of a row: its last token's embedding and its position. */
function embed(p: usize, row: i32, x: usize, width: i32): void {
  const token = load<i32>(<usize>load<u32>(p, TOKENS) + (<usize>row << 2));
  const position = load<i32>(<usize>load<u32>(p, POSITIONS) + (<usize>row << 2));
  const embedding = rowOf(p, EMBEDDINGS, token, width);
  const sines = rowOf(p, SINES, position, width);
  for (let at: usize = 0; at < <usize>width << 2; at += 16) {
    v128.store(x + at, f32x4.add(v128.load(embedding + at), v128.load(sines + at)));
  }
}

function rectify(x: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 16) {
    v128.store(x + at, f32x4.max(v128.load(x + at), f32x4.splat(0)));
  }
}

/** Rounds `count` values to 16 bits, with one scale, such that a sum of `count` products with 8 bits fits into 32. */
function quantise(p: usize, row: i32, from: usize, count: i32): void {
  const to = <usize>load<u32>(p, QUANTISED) + <usize>row * (<usize>count << 1);
  let peaks = f32x4.splat(0);
  const end = from + (<usize>count << 2);
  for (let at = from; at < end; at += 16) peaks = f32x4.max(peaks, f32x4.abs(v128.load(at)));
  const peak = peakOf(peaks);
  const most = min<f32>(32767, Mathf.floor(<f32>16_909_320 / <f32>count));
  const scale = peak > 0 ? peak / most : <f32>1;
  store<f32>(load<u32>(p, QUANTISED_SCALES) + (<usize>row << 2), scale);
  const factor = f32x4.splat(<f32>1 / scale);
  let target = to;
  for (let at = from; at < end; at += 32) {
    const low = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(at), factor)));
    const high = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(at + 16), factor)));
    v128.store(target, i16x8.narrow_i32x4_s(low, high));
    target += 16;
  }
}

@inline
function peakOf(values: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(values, 0), f32x4.extract_lane(values, 1)),
    max<f32>(f32x4.extract_lane(values, 2), f32x4.extract_lane(values, 3)),
  );
}

@inline
function sumOf(values: v128): f32 {
  return (
    f32x4.extract_lane(values, 0) +
    f32x4.extract_lane(values, 1) +
    (f32x4.extract_lane(values, 2) + f32x4.extract_lane(values, 3))
  );
}

/** x = LayerNorm(x + y). */
function addNorm(x: usize, y: usize, norm: usize, count: i32): void {
  const weight = <usize>load<u32>(norm);
  const bias = <usize>load<u32>(norm, NORM_BIAS);
  const bytes = <usize>count << 2;
  let sums = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const sum = f32x4.add(v128.load(x + at), v128.load(y + at));
    v128.store(x + at, sum);
    sums = f32x4.add(sums, sum);
  }
  const mean = f32x4.splat(sumOf(sums) / <f32>count);
  sums = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const off = f32x4.sub(v128.load(x + at), mean);
    sums = f32x4.add(sums, f32x4.mul(off, off));
  }
  const factor = f32x4.splat(<f32>1 / Mathf.sqrt(sumOf(sums) / <f32>count + <f32>1e-5));
  for (let at: usize = 0; at < bytes; at += 16) {
    const normed = f32x4.mul(f32x4.sub(v128.load(x + at), mean), factor);
    v128.store(x + at, f32x4.add(f32x4.mul(normed, v128.load(weight + at)), v128.load(bias + at)));
  }
}

function multiplyPiece(
  p: usize,
  matrix: usize,
  layer: i32,
  product: i32,
  piece: i32,
  inputs: i32,
  outputs: i32,
  word: i32,
): void {
  const most = groupsAtATime(inputs);
  const group = piece * most;
  const groups = min<i32>(most, (outputs >> 2) - group);
  const to = rowOf(p, word, 0, 0) + (<usize>group << 4);
  const stride = <usize>outputs << 2;
  multiply(p, matrix, group, groups, inputs, to, stride);
  addAdapters(p, layer, product, group << 2, groups << 2, outputs, to, stride);
}

/**
 * Products of all rows with `groups` groups of four outputs, the first of which is `group`, to `to`, rows `stride` bytes
 * apart. Weights (groups, inputs / 8, 4, 8).
 */
function multiply(p: usize, matrix: usize, group: i32, groups: i32, inputs: i32, to: usize, stride: usize): void {
  let weights = <usize>load<u32>(matrix) + ((<usize>group * <usize>inputs) << 2);
  let scales = <usize>load<u32>(matrix, PRODUCT_SCALES) + (<usize>group << 4);
  let bias = <usize>load<u32>(matrix, PRODUCT_BIAS) + (<usize>group << 4);
  const x = <usize>load<u32>(p, QUANTISED);
  const xScales = <usize>load<u32>(p, QUANTISED_SCALES);
  const rows = load<i32>(p, ROWS);
  const xBytes = <usize>inputs << 1;
  const zero = i32x4.splat(0);
  for (let done = 0; done < groups; done++) {
    const scale = v128.load(scales);
    const offset = v128.load(bias);
    let row = 0;
    let xRow = x;
    let out = to;
    for (; row + 1 < rows; row += 2) {
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      let b0 = zero, b1 = zero, b2 = zero, b3 = zero;
      let w = weights;
      const end = xRow + xBytes;
      for (let at = xRow; at < end; at += 16) {
        const x0 = v128.load(at);
        const x1 = v128.load(at + xBytes);
        const w0 = v128.load_ext<i8>(w);
        const w1 = v128.load_ext<i8>(w, 8);
        const w2 = v128.load_ext<i8>(w, 16);
        const w3 = v128.load_ext<i8>(w, 24);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(w0, x0));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(w0, x1));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(w1, x0));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(w1, x1));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(w2, x0));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(w2, x1));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(w3, x0));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(w3, x1));
        w += 32;
      }
      finish(a0, a1, a2, a3, scale, offset, load<f32>(xScales + (<usize>row << 2)), out);
      finish(b0, b1, b2, b3, scale, offset, load<f32>(xScales + (<usize>row << 2), 4), out + stride);
      xRow += xBytes << 1;
      out += stride << 1;
    }
    if (row < rows) {
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero;
      let w = weights;
      const end = xRow + xBytes;
      for (let at = xRow; at < end; at += 16) {
        const x0 = v128.load(at);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load_ext<i8>(w), x0));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 8), x0));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 16), x0));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load_ext<i8>(w, 24), x0));
        w += 32;
      }
      finish(a0, a1, a2, a3, scale, offset, load<f32>(xScales + (<usize>row << 2)), out);
    }
    weights += <usize>inputs << 2;
    scales += 16;
    bias += 16;
    to += 16;
  }
}

@inline
function finish(a0: v128, a1: v128, a2: v128, a3: v128, scale: v128, offset: v128, xScale: f32, out: usize): void {
  const sums = f32x4.convert_i32x4_s(sumsOf(a0, a1, a2, a3));
  v128.store(out, f32x4.add(f32x4.mul(sums, f32x4.mul(scale, f32x4.splat(xScale))), offset));
}

/** The sums of the lanes of four vectors. */
@inline
function sumsOf(a0: v128, a1: v128, a2: v128, a3: v128): v128 {
  const low01 = v128.shuffle<i32>(a0, a1, 0, 4, 1, 5);
  const high01 = v128.shuffle<i32>(a0, a1, 2, 6, 3, 7);
  const low23 = v128.shuffle<i32>(a2, a3, 0, 4, 1, 5);
  const high23 = v128.shuffle<i32>(a2, a3, 2, 6, 3, 7);
  const s01 = i32x4.add(low01, high01); // a0, a1, a0, a1
  const s23 = i32x4.add(low23, high23);
  return i32x4.add(v128.shuffle<i64>(s01, s23, 0, 2), v128.shuffle<i64>(s01, s23, 1, 3));
}

/** Query, key and value of a head for all rows; then its attention. Outputs of the product are ordered by head. */
function attendHead(p: usize, layer: usize, index: i32, head: i32, thread: i32): void {
  const width = load<i32>(p, WIDTH);
  const heads = load<i32>(p, HEADS);
  const headWidth = load<i32>(p, HEAD_WIDTH);
  const attentionWidth = heads * headWidth;
  const rows = load<i32>(p, ROWS);
  const scratch = <usize>load<u32>(p, SCRATCH) + <usize>thread * <usize>load<u32>(p, SCRATCH_SIZE);
  const headBytes = <usize>headWidth << 2;
  const stride = headBytes * 3;
  const groups = (headWidth * 3) >> 2;
  multiply(p, layer + QKV, head * groups, groups, width, scratch, stride);
  for (let part = 0; part < 3; part++) {
    const first = part * attentionWidth + head * headWidth;
    const to = scratch + <usize>part * headBytes;
    addAdapters(p, index, QKV_PRODUCT, first, headWidth, 3 * attentionWidth, to, stride);
  }
  const query = (scratch + stride * <usize>rows + 15) & ~15; // 16 bits
  const scores = query + (((<usize>headWidth << 1) + 15) & ~15);
  const steps = (<usize>head * <usize>headWidth) << 2;
  for (let row = 0; row < rows; row++) {
    const length = load<i32>(<usize>load<u32>(p, LENGTHS) + (<usize>row << 2));
    const place = (<usize>row * <usize>heads + <usize>head) * <usize>load<u32>(p, MAX_LENGTH) * <usize>headWidth;
    attend(
      scratch + stride * <usize>row,
      headWidth,
      <usize>load<u32>(layer, KEYS) + place,
      <usize>load<u32>(layer, VALUES) + place,
      <usize>load<u32>(layer, KEY_STEPS) + steps,
      <usize>load<u32>(layer, VALUE_STEPS) + steps,
      length,
      load<f32>(p, ATTENTION_SCALE),
      query,
      scores,
      rowOf(p, ATTENDED, row, attentionWidth) + steps,
    );
  }
}

/** Attention of one head of one row; the new key and value are appended to the cache first. */
function attend(
  qkv: usize,
  headWidth: i32,
  keys: usize,
  values: usize,
  keySteps: usize,
  valueSteps: usize,
  length: i32,
  attentionScale: f32,
  query: usize,
  scores: usize,
  to: usize,
): void {
  const bytes = <usize>headWidth << 2;
  const newKey = keys + <usize>length * headWidth;
  const newValue = values + <usize>length * headWidth;
  append(qkv + bytes, keySteps, newKey, headWidth);
  append(qkv + (bytes << 1), valueSteps, newValue, headWidth);
  // The keys' steps go into the query.
  let peaks = f32x4.splat(0);
  const scale = f32x4.splat(attentionScale);
  for (let at: usize = 0; at < bytes; at += 16) {
    const value = f32x4.mul(f32x4.mul(v128.load(qkv + at), scale), v128.load(keySteps + at));
    v128.store(qkv + at, value);
    peaks = f32x4.max(peaks, f32x4.abs(value));
  }
  const peak = peakOf(peaks);
  const queryStep = peak > 0 ? peak / 32767 : <f32>1;
  const factor = f32x4.splat(<f32>1 / queryStep);
  for (let at: usize = 0; at < bytes; at += 32) {
    const low = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(qkv + at), factor)));
    const high = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(qkv + at + 16), factor)));
    v128.store(query + (at >> 1), i16x8.narrow_i32x4_s(low, high));
  }
  const total = length + 1;
  const padded = (total + 3) & ~3;
  // Scores, four positions at a time; positions past the end become very small.
  const step = f32x4.splat(queryStep);
  let key = keys;
  let tops = f32x4.splat(-1e30);
  for (let t = 0; t < padded; t += 4) {
    let a0 = i32x4.splat(0), a1 = i32x4.splat(0), a2 = i32x4.splat(0), a3 = i32x4.splat(0);
    for (let d = 0; d < headWidth; d += 8) {
      const q = v128.load(query + (<usize>d << 1));
      const k = key + d;
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load_ext<i8>(k), q));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load_ext<i8>(k + headWidth), q));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load_ext<i8>(k + (headWidth << 1)), q));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load_ext<i8>(k + headWidth * 3), q));
    }
    let score = f32x4.mul(f32x4.convert_i32x4_s(sumsOf(a0, a1, a2, a3)), step);
    if (t + 4 > total) {
      const lanes = i32x4.add(i32x4.splat(t), i32x4(0, 1, 2, 3));
      score = v128.bitselect(score, f32x4.splat(-1e30), i32x4.lt_s(lanes, i32x4.splat(total)));
    }
    v128.store(scores + (<usize>t << 2), score);
    tops = f32x4.max(tops, score);
    key += headWidth << 2;
  }
  const top = f32x4.splat(peakOf(tops));
  let sums = f32x4.splat(0);
  for (let t = 0; t < padded; t += 4) {
    const at = scores + (<usize>t << 2);
    const e = exp(f32x4.sub(v128.load(at), top));
    v128.store(at, e);
    sums = f32x4.add(sums, e);
  }
  const sum = sumOf(sums);
  // Probabilities in 16 bits, such that the sum of products with 8 bits fits into 32. Written over the scores.
  const levels = min<f32>(32767, <f32>16_700_000 / sum);
  const level = f32x4.splat(levels);
  let target = scores;
  for (let t = 0; t < padded; t += 4) {
    const l = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(scores + (<usize>t << 2)), level)));
    v128.store64_lane(target, i16x8.narrow_i32x4_s(l, l), 0);
    target += 8;
  }
  const back = f32x4.splat(<f32>1 / (levels * sum));
  for (let d: usize = 0; d < <usize>headWidth; d += 8) {
    let low = i32x4.splat(0), high = i32x4.splat(0);
    let value = values + d;
    for (let t = 0; t < padded; t += 2) {
      const pair = v128.shuffle<i8>(
        v128.load_zero<u64>(value),
        v128.load_zero<u64>(value + headWidth),
        0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
      );
      const weight = v128.load_splat<u32>(scores + (<usize>t << 1));
      low = i32x4.add(low, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(pair), weight));
      high = i32x4.add(high, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(pair), weight));
      value += headWidth << 1;
    }
    const steps = valueSteps + (d << 2);
    v128.store(to + (d << 2), f32x4.mul(f32x4.convert_i32x4_s(low), f32x4.mul(v128.load(steps), back)));
    v128.store(to + (d << 2), f32x4.mul(f32x4.convert_i32x4_s(high), f32x4.mul(v128.load(steps, 16), back)), 16);
  }
}

/** Writes a key or value to the cache: divided by the steps, rounded, clipped. */
function append(from: usize, steps: usize, to: usize, headWidth: i32): void {
  for (let d: usize = 0; d < <usize>headWidth; d += 8) {
    const at = d << 2;
    const low = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(from + at), v128.load(steps + at))));
    const high = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(from + at + 16), v128.load(steps + at + 16))));
    const words = i16x8.narrow_i32x4_s(low, high);
    v128.store64_lane(to + d, i8x16.narrow_i16x8_s(words, words), 0);
  }
}

/** e to the x, x ≤ 0: 2 to the whole part by the exponent, a polynomial for the rest. */
@inline
function exp(x: v128): v128 {
  const clamped = f32x4.max(x, f32x4.splat(-87));
  const whole = f32x4.nearest(f32x4.mul(clamped, f32x4.splat(1.44269504)));
  let r = f32x4.sub(clamped, f32x4.mul(whole, f32x4.splat(0.693359375)));
  r = f32x4.add(r, f32x4.mul(whole, f32x4.splat(0.000212194440)));
  let y = f32x4.splat(0.00138888889);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.00833333333));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.0416666667));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.166666667));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.5));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  const exponent = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(whole), i32x4.splat(127)), 23);
  return f32x4.mul(y, exponent);
}
