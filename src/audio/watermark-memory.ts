// Where things are in the memory of assembly/watermark.ts, in bytes. Both sides read this file: numbers only.

/** Bins of a frame that change, 31.25 Hz each. */
export const FIRST_BIN = 10;
export const BINS = 96;
/** Sequences of 128 samples of the longest frame, in pairs: 64 kHz. */
export const MOST_PAIRS = 8;
/** Frames that are marked at once. */
export const MOST_FRAMES = 16;

/** Gain less one of each cell by time and band, divided by what the transforms multiply by. */
export const GAINS = 65536;
/** Cosine and sine of 2π k / 128. */
export const TRANSFORM_FACTORS = GAINS + 64 * 48 * 4;
/** Of 2π k / 256, for each bin k that changes. */
export const BIN_FACTORS = TRANSFORM_FACTORS + 64 * 8;
export const BIN_CHANGES = BIN_FACTORS + BINS * 8;
/** Of 2π k r / N for each bin and the sequences r of a group of four. */
export const LANE_FACTORS = BIN_CHANGES + BINS * 8;
export const SPECTRUM = LANE_FACTORS + 2 * BINS * 32;
export const WINDOW = SPECTRUM + 2 * 128 * 32;
/** With room for what is written beyond its end. */
export const CHANGE = WINDOW + MOST_PAIRS * 256 * 4 + 64;
export const TAIL = CHANGE + MOST_PAIRS * 256 * 4 + 64;
export const INPUT = TAIL + MOST_PAIRS * 128 * 4;
export const OUTPUT = INPUT + (MOST_FRAMES + 1) * MOST_PAIRS * 128 * 4 + 64;
export const END = OUTPUT + MOST_FRAMES * MOST_PAIRS * 128 * 4;
