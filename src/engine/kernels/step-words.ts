/**
 * Where the kernel of `assembly/step.ts` and its host in `step-kernel.ts` find things in the memory they share, as byte
 * offsets. This file is read by both compilers.
 */

// The block of parameters.
export const LAYERS = 0 << 2;
export const WIDTH = 1 << 2;
export const HEADS = 2 << 2;
export const HEAD_WIDTH = 3 << 2;
export const INNER_WIDTH = 4 << 2;
/** Rounded up to a multiple of four. */
export const VOCABULARY = 5 << 2;
export const MAX_LENGTH = 6 << 2;
/** A float. */
export const ATTENTION_SCALE = 7 << 2;
export const EMBEDDINGS = 8 << 2;
export const SINES = 9 << 2;
export const LAYER_TABLE = 10 << 2;
export const ROWS = 11 << 2;
export const TOKENS = 12 << 2;
export const POSITIONS = 13 << 2;
/** Positions that each row holds before the step. */
export const LENGTHS = 14 << 2;
/** The table of an adapter for each row, or 0. */
export const ADAPTERS = 15 << 2;
export const LOGITS = 16 << 2;
/** (rows, width) floats. */
export const X = 17 << 2;
/** (rows, the widest input of a product) of 16 bits. */
export const QUANTISED = 18 << 2;
/** Their scales: (rows) floats. */
export const QUANTISED_SCALES = 19 << 2;
/** (rows, heads · head width) floats: the result of attention. */
export const ATTENDED = 20 << 2;
/** (rows, width) floats: what is added to x. */
export const CHANGE = 21 << 2;
/** (rows, inner width) floats. */
export const INNER = 22 << 2;
/** (rows, 16) floats: inputs of the product times the first matrix of the row's adapter. */
export const REDUCED = 23 << 2;
export const SCRATCH = 24 << 2;
/** Bytes of each thread's scratch. */
export const SCRATCH_SIZE = 25 << 2;

// Words of the block that threads change, each in a cache line of its own.
export const PHASE = 26 << 2;
export const LAYER = 27 << 2;
export const STOP = 32 << 2;
export const EPOCH = 48 << 2;
export const SLEEPERS = 49 << 2;
/** Pieces of the present phase: all of them << 16 | the next one to take. */
export const CLAIM = 64 << 2;
/** Pieces done. */
export const DONE = 80 << 2;
export const BLOCK_SIZE = 96 << 2;

// A layer in the table of layers: four products, each of weights, scales and bias; two norms, each of weight and bias; the cache.
export const QKV = 0 << 2;
export const OUT = 4 << 2;
export const INWARD = 8 << 2;
export const OUTWARD = 12 << 2;
export const PRODUCT_SCALES = 1 << 2;
export const PRODUCT_BIAS = 2 << 2;
export const NORM1 = 16 << 2;
export const NORM2 = 18 << 2;
export const NORM_BIAS = 1 << 2;
export const KEYS = 20 << 2;
export const VALUES = 21 << 2;
export const KEY_STEPS = 22 << 2;
export const VALUE_STEPS = 23 << 2;
export const LAYER_SIZE = 32 << 2;

// An adapter in its table: for each layer and product (qkv, out, inner, outer) its rank, or 0, and its two matrices.
export const ADAPTER_A = 1 << 2;
export const ADAPTER_B = 2 << 2;
export const ADAPTER_ENTRY = 4 << 2;
export const MOST_RANKS = 16;
