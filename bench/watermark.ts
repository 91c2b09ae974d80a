/**
 * How well the watermark is found, and how little it changes: every recording of a folder (WAV or FLAC, unmarked; by default
 * the two sentences of the demo voices in the repository) is marked, attacked and looked at. Prints the detector's score for
 * each attack, the distance of the change from the speech, and the time of both as a part of the sound's length.
 *
 * npx tsx bench/watermark.ts [FOLDER]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { concatenate } from '../src/audio/concatenate.js';
import { decodeAudio } from '../src/audio/decode.js';
import { createEncoder, type EncoderOptions } from '../src/audio/encode/encoder.js';
import { createStreamResampler } from '../src/audio/resample-stream.js';
import { createWatermarker } from '../src/audio/watermark.js';
import { detectWatermark, WATERMARK_THRESHOLD } from '../src/audio/watermark-detector.js';

const folder = process.argv[2] ?? fileURLToPath(new URL('../src/audio/fixtures/', import.meta.url));
const names = readdirSync(folder).filter((name) => (process.argv[2] ? /\.(wav|flac)$/ : /^demo-speech-/).test(name));
const worst = new Map<string, number>();
let falseAlarms = 0;

for (const name of names) {
  const { channels, sampleRateHz } = await decodeAudio(readFileSync(join(folder, name)));
  const samples = channels[0] ?? new Float32Array();
  const seconds = samples.length / sampleRateHz;
  const startedMs = performance.now();
  const marker = createWatermarker(sampleRateHz);
  const marked = concatenate([marker.push(samples), marker.finish()]);
  const markMs = performance.now() - startedMs;
  const lookedMs = performance.now();
  const clean = detectWatermark(samples, sampleRateHz);
  const lookMs = performance.now() - lookedMs;
  if (clean.found) falseAlarms++;

  const through = async (options: Pick<EncoderOptions, 'encoding' | 'bitrateKbps'>) => {
    const encoder = await createEncoder({ ...options, inputHz: sampleRateHz, label: null, layout: 'stream' });
    const decoded = await decodeAudio(Buffer.concat([encoder.encode(marked), encoder.finish()]));
    return detectWatermark(decoded.channels[0] ?? new Float32Array(), decoded.sampleRateHz).score;
  };
  const narrow = createStreamResampler(sampleRateHz, 8000);
  const tenth = Math.round(marked.length / 10);
  const score = (sound: Float32Array) => detectWatermark(sound, sampleRateHz).score;
  const scores: [attack: string, score: number][] = [
    ['none', score(marked)],
    ['mp3 64 kbit/s', await through({ encoding: 'mp3', bitrateKbps: 64 })],
    ['mp3 32 kbit/s', await through({ encoding: 'mp3', bitrateKbps: 32 })],
    ['opus 32 kbit/s', await through({ encoding: 'opus', bitrateKbps: 32 })],
    ['8 kHz', detectWatermark(concatenate([narrow.push(marked), narrow.finish()]), 8000).score],
    ['+3 dB', score(marked.map((value) => value * 10 ** (3 / 20)))],
    ['-3 dB', score(marked.map((value) => value * 10 ** (-3 / 20)))],
    ['first 10 % cut', score(marked.subarray(tenth))],
    ['last 10 % cut', score(marked.subarray(0, marked.length - tenth))],
    ['10 % cut from the middle', score(concatenate([marked.subarray(0, 4 * tenth), marked.subarray(5 * tenth)]))],
  ];
  let speech = 0;
  let change = 0;
  samples.forEach((value, i) => {
    speech += value * value;
    change += (value - (marked[i] ?? 0)) ** 2;
  });
  const distance = (10 * Math.log10(speech / change)).toFixed(1);
  const parts = scores.map(([attack, value]) => `${attack} ${value.toFixed(1)}`);
  process.stdout.write(
    `${name}, ${seconds.toFixed(1)} s: unmarked ${clean.score.toFixed(1)}; ${parts.join(', ')}; change ${distance} dB below; ` +
      `marking ${(markMs / 1000 / seconds).toFixed(4)}, looking ${(lookMs / 1000 / seconds).toFixed(3)} of real time\n`,
  );
  for (const [attack, value] of scores)
    worst.set(attack, Math.min(worst.get(attack) ?? Number.POSITIVE_INFINITY, value));
}

const missed = [...worst].filter(([, value]) => value < WATERMARK_THRESHOLD).map(([attack]) => attack);
process.stdout.write(
  `${names.length} recordings; false alarms ${falseAlarms}; missed: ${missed.join(', ') || 'nothing'}\n`,
);
process.exitCode = falseAlarms > 0 || missed.length > 0 ? 1 : 0;
