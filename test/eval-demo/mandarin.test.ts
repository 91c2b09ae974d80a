import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cepstra } from '../../scripts/eval-demo/cepstra.js';
import { readRecogniser } from '../../scripts/eval-demo/mandarin-recogniser.js';
import { chainOf, numberStates, soundOf, syllablesOf, unitsOf } from '../../scripts/eval-demo/mandarin-units.js';
import { mixtureScorer } from '../../scripts/eval-demo/mixtures.js';
import { trackPitch } from '../../scripts/eval-demo/pitch.js';
import { likeliestTone, registerOf, toneFeatures, toneShape } from '../../scripts/eval-demo/tones.js';
import { decodeAudio, readAudioFile } from '../../src/audio/decode.js';
import { textToPhonemes } from '../../src/text/frontend.js';

const ROOT = join(import.meta.dirname, '../..');
const recogniser = readRecogniser(join(ROOT, 'scripts/eval-demo/data/recogniser.safetensors'));

describe('units', () => {
  it('reads syllables out of phonemes, marks left out', () => {
    const syllables = syllablesOf(['zh', 'ong1', ',', 'AA', 'an4', '.']);
    expect(syllables).toEqual([
      { initial: 'zh', final: 'ong', tone: 1 },
      { initial: 'AA', final: 'an', tone: 4 },
    ]);
    expect(syllables.map(soundOf)).toEqual(['zh ong', 'AA an']);
    expect(() => syllablesOf(['zh'])).toThrow('not a Mandarin syllable');
  });

  it('tells initials apart by the final that follows', () => {
    expect(unitsOf({ initial: 'zh', final: 'ir' })).toEqual(['zh+0', 'ir']);
    expect(unitsOf({ initial: 'b', final: 'ian' })).toEqual(['b+i', 'ian']);
  });

  it('chains states with silence that may be left out', () => {
    const states = numberStates(['b+a', 'a']);
    const chain = chainOf([{ initial: 'b', final: 'a' }], states);
    expect([...chain.states]).toEqual([0, 1, 2, 3, 4, 5, 6, 0]);
    expect([...chain.optional]).toEqual([1, 0, 0, 0, 0, 0, 0, 1]);
    expect(() => chainOf([{ initial: 'q', final: 'a' }], states)).toThrow('no unit "q+a"');
  });
});

it('scores a frame by the likelier Gaussian', () => {
  const scorer = mixtureScorer({
    states: 1,
    components: 2,
    width: 1,
    means: Float32Array.of(0, 10),
    logDeviations: Float32Array.of(0, 0),
    logWeights: Float32Array.of(Math.log(0.5), Math.log(0.5)),
  });
  const frames = Float32Array.of(0.5, 9);
  expect(scorer.component(0, frames, 0)).toBe(0);
  expect(scorer.component(0, frames, 1)).toBe(1);
  expect(scorer.score(0, frames, 1)).toBeCloseTo(Math.log(0.5) - 0.5 * Math.log(2 * Math.PI) - 0.5, 4);
});

describe('a recording of four words', () => {
  const load = async () => {
    const { channels } = await decodeAudio(await readAudioFile(join(ROOT, 'demo-voice/ref_zh.wav')));
    const samples = channels[0]!;
    const { phonemes } = await textToPhonemes('妥善 老实 研制 功劳。', { language: 'zh', symbols: 'v2' });
    return { samples, syllables: syllablesOf(phonemes), heard: recogniser.hear([cepstra(samples)]).features[0]! };
  };

  it('is heard as what it says', async () => {
    const { heard, syllables } = await load();
    const found = recogniser.recognise(heard);
    const said = new Set(syllables.map(soundOf));
    expect(found.filter((sound) => said.has(sound)).length).toBeGreaterThanOrEqual(6);
    const other = syllablesOf(
      (await textToPhonemes('今天 下雨 出去 买菜。', { language: 'zh', symbols: 'v2' })).phonemes,
    );
    expect(recogniser.identify(heard, [other, syllables])).toBe(1);
  });

  it('has finals one after another, and their tones', async () => {
    const { samples, heard, syllables } = await load();
    const spans = recogniser.alignFinals(heard, syllables)!;
    for (const [index, { start, end }] of spans.entries()) {
      expect(end).toBeGreaterThan(start);
      expect(start).toBeGreaterThanOrEqual(spans[index - 1]?.end ?? 0);
    }
    const track = trackPitch(samples);
    const register = registerOf([track]);
    const shapes = spans.map((span) => toneShape(track, span, register));
    const right = syllables.filter(({ tone }, at) => {
      const shape = shapes[at];
      if (!shape) return false;
      const features = toneFeatures(shape, shapes[at - 1] ?? null, shapes[at + 1] ?? null);
      return likeliestTone(recogniser.model.tones, features) === tone;
    });
    expect(right.length).toBeGreaterThanOrEqual(6);
  });
});

it('finds no tone where the voice does not sound', () => {
  const track = trackPitch(new Float32Array(16_000));
  expect(toneShape(track, { start: 0, end: 50 }, 0)).toBeNull();
});
