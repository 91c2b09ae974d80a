import { AppError } from '../../errors.js';
import type { BitReader } from './bit-reader.js';
import { RATES_HZ } from './tables.js';

/** What a container says of its AAC. */
export interface AacConfig {
  readonly objectType: number;
  readonly rateIndex: number;
  /** Of the core, where HE-AAC doubles it. */
  readonly rateHz: number;
  /** 0: a frame says it itself. */
  readonly channels: number;
  readonly frameSamples: number;
}

const LOW_COMPLEXITY = 2;
/** What HE-AAC has before the type of its core. */
const SPECTRAL_BANDS = 5;
const PARAMETRIC_STEREO = 29;
const NAMES: Readonly<Record<number, string>> = { 1: 'Main', 3: 'SSR', 4: 'LTP', 23: 'LD', 39: 'ELD', 42: 'xHE-AAC' };
/** Rates that are told by their number of hertz have the bands of the first of these that is not above them. */
const RATE_BOUNDS_HZ = [92_017, 75_132, 55_426, 46_009, 37_566, 27_713, 23_004, 18_783, 13_856, 11_502, 9391];

/** AudioSpecificConfig of ISO/IEC 14496-3, 1.6.2.1. */
export function readAudioConfig(bits: BitReader): AacConfig {
  let objectType = readObjectType(bits);
  const rate = readRate(bits);
  const channels = bits.read(4);
  if (objectType === SPECTRAL_BANDS || objectType === PARAMETRIC_STEREO) {
    readRate(bits);
    objectType = readObjectType(bits);
  }
  const frameSamples = objectType === LOW_COMPLEXITY && bits.flag() ? 960 : 1024;
  return { objectType, ...rate, channels, frameSamples };
}

function readObjectType(bits: BitReader): number {
  const type = bits.read(5);
  return type === 31 ? 32 + bits.read(6) : type;
}

function readRate(bits: BitReader): { readonly rateIndex: number; readonly rateHz: number } {
  const index = bits.read(4);
  if (index !== 15) return { rateIndex: index, rateHz: RATES_HZ[index] ?? 0 };
  const rateHz = bits.read(24);
  const found = RATE_BOUNDS_HZ.findIndex((bound) => rateHz >= bound);
  return { rateIndex: found < 0 ? RATE_BOUNDS_HZ.length : found, rateHz };
}

/** @throws AppError `AUDIO_UNREADABLE` for AAC that is not LC, or has more channels than are decoded. */
export function checkKind(config: AacConfig): AacConfig {
  const { objectType, rateHz, channels, frameSamples } = config;
  const found =
    objectType !== LOW_COMPLEXITY
      ? `AAC ${NAMES[objectType] ?? `of type ${objectType}`}`
      : channels > 2
        ? `AAC in channel layout ${channels}`
        : frameSamples !== 1024
          ? `AAC in frames of ${frameSamples} samples`
          : rateHz < 7000 || rateHz > 96_000
            ? `AAC at ${rateHz} Hz`
            : null;
  if (found === null) return config;
  throw new AppError(
    'AUDIO_UNREADABLE',
    `the recording is ${found}; expected AAC-LC or HE-AAC of one or two channels, from 8 to 96 kHz: convert it to WAV or FLAC`,
  );
}
