import { describe, expect, it } from 'vitest';
import { largestDifference, noise, sine } from '../../test/fixtures/signals.js';
import { AppError } from '../errors.js';
import { kaldiFilterBank } from './fbank.js';
import { realFft } from './fft.js';
import { measureLevel, mixToMono } from './level.js';
import { resample, resampleHighQuality } from './resample.js';
import { magnitudeSpectrogram, melSpectrogram } from './spectrogram.js';

describe('realFft', () => {
  it.each([2, 4, 8, 64, 6, 10, 80, 1280])(
    'equals the definition for %d samples, and is undone by its inverse',
    (size) => {
      const samples = Float64Array.from(noise(size));
      const fft = realFft(size);
      const re = new Float64Array(fft.bins);
      const im = new Float64Array(fft.bins);
      fft.forward(samples, re, im);
      for (let k = 0; k < fft.bins; k++) {
        let a = 0;
        let b = 0;
        for (let i = 0; i < size; i++) {
          const angle = (2 * Math.PI * ((i * k) % size)) / size;
          a += samples[i]! * Math.cos(angle);
          b -= samples[i]! * Math.sin(angle);
        }
        expect(Math.hypot(re[k]! - a, im[k]! - b)).toBeLessThan(1e-9);
      }
      const back = new Float64Array(size);
      fft.inverse(re, im, back);
      expect(largestDifference(back, samples, 0, size)).toBeLessThan(1e-12);
    },
  );
});

it('ends like librosa: silent beyond the number of samples that the ratio rounds to', () => {
  // 40,792 samples at 11,025 Hz are 59,199.27 at 16,000 Hz: soxr makes 59,199, librosa fills up to 59,200.
  const out = resampleHighQuality(new Float32Array(40_792).fill(0.5), 11_025, 16_000);
  expect(out).toHaveLength(59_200);
  expect(out[59_199]).toBe(0);
  expect(Math.abs(out[59_198] ?? 0)).toBeGreaterThan(0.1);
});

describe.each([
  ['resample', resample, 0.002],
  ['resampleHighQuality', resampleHighQuality, 1e-5],
])('%s', (_, convert, tolerance) => {
  it.each([
    [44100, 32000],
    [32000, 16000],
    [8000, 32000],
    [22050, 16000],
    [44099, 16000],
  ])('keeps a tone from %d to %d Hz', (fromHz, toHz) => {
    const out = convert(sine(440, fromHz, fromHz / 4), fromHz, toHz);
    expect(out).toHaveLength(Math.ceil((Math.floor(fromHz / 4) * toHz) / fromHz));
    const expected = sine(440, toHz, out.length);
    expect(largestDifference(out, expected, out.length * 0.2, out.length * 0.8)).toBeLessThan(tolerance);
  });

  it('removes what the lower rate cannot hold', () => {
    const out = convert(sine(11_000, 32_000, 8000), 32_000, 16_000);
    expect(Math.max(...out.subarray(1000, 3000))).toBeLessThan(0.01);
  });

  it('returns the same samples for the same rate, and nothing for nothing', () => {
    const samples = noise(10);
    expect(convert(samples, 16_000, 16_000)).toBe(samples);
    expect(convert(new Float32Array(0), 16_000, 32_000)).toHaveLength(0);
  });
});

describe('magnitudeSpectrogram', () => {
  it('shows a tone in its bin', () => {
    const { data, rows, frames } = magnitudeSpectrogram(sine(1000, 16_000, 16_000), {
      fftSize: 1024,
      hopSamples: 320,
      windowSamples: 1024,
    });
    expect([rows, frames]).toEqual([513, 50]);
    const column = Array.from({ length: rows }, (_, bin) => data[bin * frames + 25]!);
    expect(column.indexOf(Math.max(...column))).toBe(64);
    expect(column[64]).toBeCloseTo(256, 1); // N / 4 for a Hann window
  });

  it('refuses what is too short to reflect', () => {
    const options = { fftSize: 2048, hopSamples: 640, windowSamples: 2048 };
    expect(() => magnitudeSpectrogram(noise(704), options)).toThrow(AppError);
    expect(magnitudeSpectrogram(noise(705), options).frames).toBe(1);
  });
});

describe('melSpectrogram', () => {
  it('is the floor for silence', () => {
    const { data, rows } = melSpectrogram(new Float32Array(4000), {
      fftSize: 256,
      hopSamples: 64,
      windowSamples: 256,
      sampleRateHz: 8000,
      bands: 20,
      lowestHz: 100,
    });
    expect(rows).toBe(20);
    expect(data.every((value) => value >= Math.fround(Math.log(1e-5)) && value < -6)).toBe(true);
  });
});

describe('kaldiFilterBank', () => {
  it('gives one frame each 10 ms that lies inside the wave', () => {
    expect(kaldiFilterBank(noise(400))).toMatchObject({ frames: 1, bands: 80 });
    expect(kaldiFilterBank(noise(16_000)).frames).toBe(98);
    expect(() => kaldiFilterBank(noise(399))).toThrow(/need 400 samples/);
  });
});

describe('measureLevel', () => {
  it('measures speech between pauses', () => {
    const samples = new Float32Array(32_000);
    samples.set(sine(200, 16_000, 16_000, 0.1), 8000);
    const report = measureLevel(samples, 16_000);
    expect(report.durationSeconds).toBe(2);
    expect(report.activeSeconds).toBeCloseTo(1, 1);
    expect(report.activeLevelDb).toBeCloseTo(-23, 0);
    expect(report.peak).toBeCloseTo(0.1, 3);
    expect(report.clippedFraction).toBe(0);
  });

  it('knows silence, digital and near', () => {
    expect(measureLevel(new Float32Array(1000), 16_000)).toMatchObject({ activeSeconds: 0, activeLevelDb: -Infinity });
    expect(
      measureLevel(
        noise(1000).map((value) => value * 1e-4),
        16_000,
      ).activeSeconds,
    ).toBe(0);
    expect(measureLevel(new Float32Array(0), 16_000)).toMatchObject({ durationSeconds: 0, clippedFraction: 0 });
  });

  it('sees flat tops, also where they were turned down afterwards', () => {
    const clipped = sine(200, 16_000, 16_000, 2).map((value) => Math.max(-1, Math.min(1, value)));
    expect(measureLevel(clipped, 16_000).clippedFraction).toBeGreaterThan(0.5);
    expect(
      measureLevel(
        clipped.map((value) => value * 0.8),
        16_000,
      ).clippedFraction,
    ).toBeGreaterThan(0.5);
    expect(measureLevel(sine(200, 16_000, 16_000, 0.8), 16_000).clippedFraction).toBeLessThan(0.05);
  });
});

describe('mixToMono', () => {
  it('averages channels', () => {
    expect(mixToMono([Float32Array.of(1, 0), Float32Array.of(0, 1)])).toEqual(Float32Array.of(0.5, 0.5));
    expect(mixToMono([])).toHaveLength(0);
  });
});
