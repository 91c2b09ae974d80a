import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileInMemory, SovitsUnderTest } from '../../test/parity/sovits-under-test.js';
import { buildGenerator, type GeneratorQuantization } from '../models/sovits/generator.js';
import { openRuntime, output, tensor } from './onnxruntime.js';
import { MAX_LOSS, worstLoss } from './quality-report.js';
import { quantiseWaveform, type WaveformDecision } from './quantise-waveform.js';

const DEMO = fileURLToPath(new URL('../../demo-voice/s2.pth', import.meta.url));

describe('the waveform generator in int8', () => {
  let sovits: SovitsUnderTest;
  let decision: WaveformDecision;

  beforeAll(() => {
    sovits = new SovitsUnderTest(DEMO);
    // However fast it is on the processor of this test.
    decision = quantiseWaveform(sovits.checkpoint, sovits.spec, openRuntime(), { worthIt: 0 });
  }, 300_000);

  afterAll(() => sovits.close());

  it('loses less than 2 % by every measure, and says what stays in fp32', () => {
    const { measures } = decision.report;
    expect(measures.map((measure) => measure.name)).toContain('log-mel variance kept');
    expect(worstLoss(measures)).toBeLessThan(MAX_LOSS);
    expect(worstLoss(measures)).toBeGreaterThan(0);
    expect(decision.quantization?.ranges.size).toBeGreaterThan(0);
  });

  it('does not let rows of a batch influence one another', () => {
    const session = compileInMemory(
      buildGenerator(sovits.checkpoint, sovits.spec, 'tail', {
        quantization: decision.quantization as GeneratorQuantization, // there whatever the speed
      }),
    );
    const channels = sovits.spec.generator.upsamples[0]?.channels ?? 0;
    const columns = 40;
    const row = (gain: number): Float32Array =>
      Float32Array.from({ length: channels * columns }, (_, index) => gain * Math.sin(index * 12.9898));
    const speak = (...rows: Float32Array[]): Float32Array => {
      const hidden = new Float32Array(rows.length * channels * columns);
      rows.forEach((values, index) => {
        hidden.set(values, index * values.length);
      });
      return output(
        session.run({ hidden: tensor('float32', [rows.length, channels, columns], hidden) }),
        'wave',
        'float32',
      ).data;
    };
    const alone = speak(row(1));
    expect(speak(row(20), row(1)).subarray(alone.length)).toEqual(alone);
    session.close();
  });
});
