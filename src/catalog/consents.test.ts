import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { encodeWav } from '../audio/wav.js';
import { audioType } from './consents.js';

const recording = (name: string): Uint8Array => readFileSync(new URL(`../audio/fixtures/${name}`, import.meta.url));

it.each([
  ['tone.flac', 'audio/flac'],
  ['tone.opus', 'audio/ogg'],
  ['tone.mp3', 'audio/mpeg'],
  ['tone.aac', 'audio/aac'],
  ['tone.m4a', 'audio/mp4'],
])('says that %s is %s', (name, type) => {
  expect(audioType(recording(name))).toBe(type);
});

it('says that WAV is audio/wav', () => {
  expect(audioType(encodeWav(new Float32Array(10), 8000))).toBe('audio/wav');
});
