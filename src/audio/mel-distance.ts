import { melSpectrogram } from './spectrogram.js';

const BANDS = 40;
/** Below so much under the loudest nothing is heard; keeps the logarithm of silence from deciding. */
const RANGE_DB = 60;
const DECIBELS = 20 / Math.LN10;

/** Mel bands of sound in decibels, (bands, frames); a frame is 16 ms around sample (frame + ½) · hop. */
export interface LogMel {
  readonly data: Float32Array;
  readonly bands: number;
  readonly frames: number;
  readonly hopSamples: number;
}

export function logMel(samples: Float32Array, sampleRateHz: number): LogMel {
  const hopSamples = Math.round(sampleRateHz / 250);
  const length = 4 * hopSamples;
  const options = { fftSize: length, hopSamples, windowSamples: length, sampleRateHz, bands: BANDS };
  const { data, frames } = melSpectrogram(samples, options);
  const loudest = data.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const floor = loudest * DECIBELS - RANGE_DB;
  return { data: data.map((value) => Math.max(value * DECIBELS, floor)), bands: BANDS, frames, hopSamples };
}

/** Mean difference of two sounds of one length, in decibels of log mel. */
export function melDistance(a: LogMel, b: LogMel): number {
  let sum = 0;
  for (let index = 0; index < a.data.length; index++) sum += Math.abs(a.data[index]! - b.data[index]!);
  return sum / a.data.length;
}

/** The share of the variance of `original` that `copy` does not have: 0 where they are equal. */
export function melLoss(original: LogMel, copy: LogMel): number {
  const { data } = original;
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  let error = 0;
  let variance = 0;
  for (let index = 0; index < data.length; index++) {
    error += (data[index]! - copy.data[index]!) ** 2;
    variance += (data[index]! - mean) ** 2;
  }
  return variance > 0 ? error / variance : 0;
}
