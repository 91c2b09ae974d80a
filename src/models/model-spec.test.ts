import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Checkpoint, PlainValue } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { readModelSpec } from './model-spec.js';

const demo = openCheckpoint(fileURLToPath(new URL('../../demo-voice/s2.pth', import.meta.url)));

afterAll(() => demo.close());

describe('model spec', () => {
  it('reads every size of the starter model from its tensors and config', () => {
    expect(readModelSpec(demo)).toEqual({
      version: 'v2',
      symbolTable: 'v2',
      symbolCount: 732,
      sampleRateHz: 16000,
      hopSamples: 320,
      filterLengthSamples: 1024,
      windowSamples: 1024,
      referenceBins: 513,
      sslWidth: 192,
      codebookSize: 1024,
      framesPerToken: 2,
      tokensPerSecond: 25,
      interChannels: 96,
      hiddenChannels: 96,
      filterChannels: 144,
      headCount: 2,
      kernelSize: 3,
      layerCounts: { ssl: 3, text: 6, post: 3 },
      relativeWindow: 4,
      mrteChannels: 128,
      mrteHeadCount: 4,
      globalEmbeddingWidth: 128,
      styleChannels: 128,
      styleHeadCount: 2,
      speakerVectorWidth: null,
      flow: { couplings: 4, layers: 4, kernel: 5, dilationRate: 1 },
      generator: {
        initialChannels: 192,
        upsamples: [
          { rate: 10, kernel: 20, channels: 96 },
          { rate: 8, kernel: 16, channels: 48 },
          { rate: 2, kernel: 4, channels: 24 },
          { rate: 2, kernel: 4, channels: 12 },
        ],
        resblockType: '1',
        resblocks: [
          { kernel: 3, dilations: [1, 3, 5] },
          { kernel: 7, dilations: [1, 3, 5] },
        ],
      },
    });
  });

  it('allows encoders without layers, as one layer split in two halves leaves them', () => {
    const tensors = new Map([...demo.tensors].filter(([name]) => !/^enc_p\.(encoder_ssl|encoder2)\./.test(name)));
    expect(readModelSpec({ ...demo, tensors }).layerCounts).toEqual({ ssl: 0, text: 6, post: 0 });
  });

  it('is plain data', () => {
    const spec = readModelSpec(demo);
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
  });

  it.each([
    ['a missing tensor', without(demo, 'enc_p.mrte.c_pre.weight'), /no tensor "enc_p.mrte.c_pre.weight"/],
    ['a missing config', { ...demo, data: {} }, /config\.data\.hop_length is undefined/],
    ['a config field of another type', configured('data', 'hop_length', 'long'), /hop_length is "long"/],
    [
      'rates that contradict hop_length',
      configured('data', 'hop_length', 256),
      /multiply to 320, but hop_length is 256/,
    ],
    ['heads that do not divide the width', configured('model', 'n_heads', 5), /96, not a multiple of 5 heads/],
    ['an unknown kind of residual block', configured('model', 'resblock', '3'), /resblock "3"/],
    ['rates that are no list', configured('model', 'upsample_rates', 'fast'), /upsample_rates is "fast"/],
    ['dilations of another shape', configured('model', 'resblock_dilation_sizes', [1]), /no resblock_dilation_sizes/],
  ])('says what is wrong with %s', (_, checkpoint, message) => {
    expect(() => readModelSpec(checkpoint)).toThrow(message);
    expect(() => readModelSpec(checkpoint)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_UNSUPPORTED' }));
  });

  it('refuses a version that the contents contradict', () => {
    expect(() => readModelSpec(demo, { version: 'v2Pro' })).toThrow(/cannot be loaded as v2Pro/);
  });
});

function without(checkpoint: Checkpoint, name: string): Checkpoint {
  return { ...checkpoint, tensors: new Map([...checkpoint.tensors].filter(([key]) => key !== name)) };
}

function configured(section: string, field: string, value: PlainValue): Checkpoint {
  const config = demo.data['config'] as Record<string, Record<string, PlainValue>>; // of an official file
  return { ...demo, data: { ...demo.data, config: { ...config, [section]: { ...config[section], [field]: value } } } };
}
