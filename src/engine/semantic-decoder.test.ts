import { afterEach, describe, expect, it } from 'vitest';
import { randomText2Semantic } from '../../test/fixtures/random-text2semantic.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { buildText2Semantic, readText2SemanticSettings, type Text2SemanticSettings } from '../models/text2semantic.js';
import { encodeModel } from '../onnx/model-file.js';
import { openRuntime, output, Runtime, tensor, zeros } from './onnxruntime.js';
import { fillNormal, RANDOM_STREAM } from './random.js';
import type { SamplingParameters } from './sampler.js';
import {
  type RowEvent,
  type RowRequest,
  SemanticDecoder,
  type SemanticDecoderOptions,
  visiblePositions,
} from './semantic-decoder.js';

const SAMPLING: SamplingParameters = { topK: 15, topP: 0.95, temperature: 1, repetitionPenalty: 1.35 };

const open: SemanticDecoder[] = [];
afterEach(() => {
  for (const decoder of open.splice(0)) decoder.close();
});

/** A network with random weights, wide enough that the kernels are those of a real one. */
function buildDecoder(options: SemanticDecoderOptions & { endBias?: number; runtime?: Runtime } = {}): SemanticDecoder {
  const { settings, bytes } = buildModel(options.endBias ?? 0);
  const session = (options.runtime ?? openRuntime()).createSession(bytes);
  const decoder = new SemanticDecoder(session, settings, { maxLength: 400, ...options });
  open.push(decoder);
  return decoder;
}

/** The parts of a quantised network, whose cache steps fit its values. */
function buildQuantised(format: 'int8' | 'int4'): SemanticDecoder {
  const checkpoint = randomText2Semantic(256, 8, 2, 0);
  const settings = readText2SemanticSettings(checkpoint, { positions: 512 });
  const steps = new Float32Array(settings.heads * settings.headWidth).fill(8 / 127);
  const cacheSteps = Array.from({ length: settings.layers }, () => ({ keys: steps, values: steps }));
  const session = (part: 'prefill' | 'step') => {
    const precision =
      part === 'step'
        ? { format: () => format, cacheSteps: () => cacheSteps[0]! }
        : { format: () => 'column-uint8' as const, cacheSteps: null };
    return openRuntime().createSession(
      encodeModel(buildText2Semantic(checkpoint, settings, { part, precision }), null),
    );
  };
  const sessions = { prefill: session('prefill'), step: session('step'), cacheSteps };
  const decoder = new SemanticDecoder(sessions, settings, { rows: 12, maxLength: 400 });
  open.push(decoder);
  return decoder;
}

const models = new Map<number, { settings: Text2SemanticSettings; bytes: Uint8Array }>();

function buildModel(endBias: number): { settings: Text2SemanticSettings; bytes: Uint8Array } {
  const known = models.get(endBias);
  if (known) return known;
  const checkpoint = randomText2Semantic(256, 8, 2, endBias);
  const settings = readText2SemanticSettings(checkpoint, { positions: 512 });
  const model = { settings, bytes: encodeModel(buildText2Semantic(checkpoint, settings), null) };
  models.set(endBias, model);
  return model;
}

function request(index: number, changes: Partial<RowRequest> = {}): RowRequest {
  const phonemes = 12 + 9 * (index % 4);
  const bertFeatures = new Float32Array(phonemes * 32);
  fillNormal(bertFeatures, { seed: 2, sentence: index }, 0, RANDOM_STREAM.waveform);
  return {
    phonemeIds: Array.from({ length: phonemes }, (_, position) => (position * 7 + index * 3) % 40),
    bertFeatures: index % 3 === 2 ? null : bertFeatures,
    promptSemantic:
      index % 4 === 3 ? null : Array.from({ length: 10 + 17 * (index % 3) }, (_, at) => (at * 5 + index) % 128),
    sampling: SAMPLING,
    seed: 1000 + index,
    sentenceKey: index,
    maxNewTokens: 30,
    ...changes,
  };
}

/** The row's tokens when it is decoded alone. */
function decodeAlone(decoder: SemanticDecoder, row: RowRequest): number[] {
  const tokens: number[] = [];
  let event: RowEvent | undefined = decoder.addRow(row);
  while (event) {
    if (event.token !== null) tokens.push(event.token);
    event = event.finished ? undefined : decoder.step()[0];
  }
  return tokens;
}

describe('rows in a batch', () => {
  it('get the same tokens as alone, whatever their neighbours, lengths and places', () => {
    const decoder = buildDecoder();
    const requests = Array.from({ length: 12 }, (_, index) => request(index, { maxNewTokens: 15 + 4 * (index % 5) }));
    const alone = requests.map((row) => decodeAlone(decoder, row));
    expect(new Set(alone.flat()).size).toBeGreaterThan(40);

    // Rows join while others are in the middle of a sentence, and leave at different steps, so that rows move.
    const tokens = new Map<number, number[]>();
    const take = (event: RowEvent) => {
      if (event.token !== null) tokens.set(event.row, [...(tokens.get(event.row) ?? []), event.token]);
    };
    const waiting = [...requests];
    const order: number[] = [];
    let widest = 0;
    do {
      for (let joining = 0; joining < 2 && decoder.size < decoder.capacity; joining++) {
        const next = waiting.shift();
        if (!next) break;
        const event = decoder.addRow(next);
        order.push(event.row);
        take(event);
      }
      widest = Math.max(widest, decoder.size);
      for (const event of decoder.step()) take(event);
    } while (decoder.size > 0 || waiting.length > 0);
    expect(widest).toBe(8);
    expect(order.map((row) => tokens.get(row))).toEqual(alone);
  });

  it.each(['int8', 'int4'] as const)('get the same tokens as alone with %s weights and cache', (format) => {
    const decoder = buildQuantised(format);
    const requests = Array.from({ length: 24 }, (_, index) => request(index, { maxNewTokens: 12 + 4 * (index % 5) }));
    const alone = requests.map((row) => decodeAlone(decoder, row));
    const tokens = new Map<number, number[]>();
    const order: number[] = [];
    const take = (event: RowEvent) => {
      if (event.token !== null) tokens.set(event.row, [...(tokens.get(event.row) ?? []), event.token]);
    };
    const waiting = [...requests];
    do {
      // Batches of every size from 1 to 12, so that the cache grows in between too.
      const next = decoder.size < 12 ? waiting.shift() : undefined;
      if (next) {
        decoder.beginRow(next);
        let event = decoder.prefill();
        while (!event) {
          for (const other of decoder.step()) take(other); // others go on between the pieces
          event = decoder.prefill();
        }
        order.push(event.row);
        take(event);
      }
      for (const event of decoder.step()) take(event);
    } while (decoder.size > 0 || waiting.length > 0);
    expect(order.map((row) => tokens.get(row))).toEqual(alone);
  });

  it('leave at once when removed, which makes room and disturbs nobody', () => {
    const decoder = buildDecoder({ rows: 2 });
    const expected = decodeAlone(decoder, request(1));
    const doomed = decoder.addRow(request(0));
    const kept: RowEvent[] = [decoder.addRow(request(1))];
    const take = (events: RowEvent[]) => kept.push(...events.filter((event) => event.row === kept[0]?.row));
    take(decoder.step());
    expect(() => decoder.addRow(request(2))).toThrow(/all 2 rows/);
    decoder.removeRow(doomed.row);
    decoder.removeRow(doomed.row);
    expect(decoder.size).toBe(1);
    decoder.addRow(request(2));
    while (decoder.size > 0) take(decoder.step());
    expect(kept.map((event) => event.token)).toEqual(expected);
  });

  it('give the same tokens again for the same seed, and others for another', () => {
    const decoder = buildDecoder();
    const first = decodeAlone(decoder, request(0));
    expect(decodeAlone(decoder, request(0))).toEqual(first);
    expect(decodeAlone(decoder, request(0, { seed: 77 }))).not.toEqual(first);
    expect(decodeAlone(decoder, request(0, { sentenceKey: 9 }))).not.toEqual(first);
  });

  it('get the same tokens through the official binding', () => {
    const runtime = new Runtime({ binding: 'official', threads: 2 });
    const tokens = decodeAlone(buildDecoder({ runtime }), request(0));
    expect(tokens).toEqual(decodeAlone(buildDecoder(), request(0)));
  });

  it('keep keys and values that a longer prefill of the same tokens would compute', () => {
    const decoder = buildDecoder();
    const base = request(0, { maxNewTokens: 40 });
    const events = [decoder.addRow(base)];
    const row = events[0]?.row ?? 0;
    for (let step = 0; step < 12; step++) events.push(...decoder.step());
    const stepped = decoder.readCache(row, 1);
    const tokens = events.slice(0, -1).map((event) => event.token ?? -1);
    decoder.removeRow(row);
    const prompt = [...Array.from(base.promptSemantic ?? []), ...tokens];
    const again = decoder.addRow({ ...base, promptSemantic: prompt });
    const prefilled = decoder.readCache(again.row, 1);
    expect(stepped.keys.length).toBe(prefilled.keys.length);
    for (const name of ['keys', 'values'] as const) {
      for (const [index, value] of stepped[name].entries()) {
        expect(Math.abs(value - (prefilled[name][index] ?? Number.NaN))).toBeLessThan(2e-5);
      }
    }
    expect(() => decoder.readCache(999, 0)).toThrow('no row 999');
  });
});

describe('the end of a row', () => {
  it('comes with the end token, but never in the first 11 steps', () => {
    const decoder = buildDecoder({ endBias: 40 });
    const tokens = decodeAlone(decoder, request(0));
    expect(tokens.length).toBe(11);
    expect(tokens).not.toContain(128);
    expect(decoder.size).toBe(0);
  });

  it('comes one token after the limit, and says so', () => {
    const decoder = buildDecoder();
    const events = [decoder.addRow(request(0, { maxNewTokens: 3 }))];
    while (decoder.size > 0) events.push(...decoder.step());
    expect(events.map((event) => event.finished)).toEqual([null, null, null, 'limit']);
    expect(events.every((event) => event.token !== null)).toBe(true);
  });

  it('comes before the cache is full', () => {
    const decoder = buildDecoder({ maxLength: 100 });
    const row = request(0, { maxNewTokens: 1000 });
    const tokens = decodeAlone(decoder, row);
    const length = row.phonemeIds.length + (row.promptSemantic?.length ?? 0);
    expect(tokens.length).toBe(100 - length);
  });
});

describe('what a decoder refuses', () => {
  it('names what does not fit, and stays usable', () => {
    const decoder = buildDecoder({ maxLength: 80 });
    const refuse = (changes: Partial<RowRequest>) => expect(() => decoder.addRow(request(0, changes)));
    refuse({ phonemeIds: [] }).toThrow(expect.objectContaining({ code: 'TEXT_EMPTY' }));
    refuse({ phonemeIds: new Int32Array(60), bertFeatures: null }).toThrow(
      expect.objectContaining({ code: 'TEXT_TOO_LONG', message: expect.stringContaining('60 phonemes') }),
    );
    refuse({ phonemeIds: [1, 40], bertFeatures: null }).toThrow("phoneme 40 is outside the model's table of 40");
    refuse({ phonemeIds: [1, -1], bertFeatures: null }).toThrow('phoneme -1');
    refuse({ promptSemantic: [500] }).toThrow('prompt token 500');
    refuse({ bertFeatures: new Float32Array(5) }).toThrow(
      '5 BERT feature values for 12 phonemes; expected 32 for each',
    );
    expect(decoder.size).toBe(0);
    expect(decodeAlone(decoder, request(0)).length).toBeGreaterThan(10);
  });

  it('does nothing without rows, and nothing at all once closed', () => {
    const decoder = buildDecoder();
    expect(decoder.step()).toEqual([]);
    decoder.close();
    expect(() => decoder.step()).toThrow(/closed/);
    expect(() => decoder.addRow(request(0))).toThrow(/closed/);
  });
});

describe('attention heads of any width', () => {
  it.each([
    [48, 4],
    [64, 16],
    [60, 5],
    [64, 4],
  ])('attend as defined at width %d with %d heads', (width, heads) => {
    const checkpoint = randomText2Semantic(width, heads, 1, 0);
    const settings = readText2SemanticSettings(checkpoint, { positions: 64 });
    expect(settings.headWidth % 8).toBe(0);
    const model = encodeModel(buildText2Semantic(checkpoint, settings, { debug: true }), null);
    const session = openRuntime().createSession(model);
    const [phonemes, prompt] = [5, 4];
    const length = phonemes + prompt;
    const visible = visiblePositions(phonemes, prompt);
    const cache = () => zeros('float32', [1, heads, length, settings.headWidth]);
    const past = { 'k.0': cache(), 'v.0': cache() };
    const results = session.run(
      {
        phonemes: tensor('int32', [1, phonemes], Int32Array.of(3, 1, 4, 1, 5)),
        bert: zeros('float32', [1, phonemes, settings.bertWidth]),
        tokens: tensor('int32', [1, prompt], Int32Array.of(9, 2, 6, 5)),
        token_positions: tensor('int32', [1, prompt], Int32Array.of(0, 1, 2, 3)),
        visible: tensor('int32', [length], visible),
        seqlens: tensor('int32', [1], Int32Array.of(length - 1)),
        total: tensor('int32', [1], Int32Array.of(length)),
        'past_k.0': past['k.0'],
        'past_v.0': past['v.0'],
      },
      past,
      ['xy_pos', 'xy_dec'],
    );
    const expected = transformerLayer(checkpoint, output(results, 'xy_pos', 'float32').data, heads, visible);
    const actual = output(results, 'xy_dec', 'float32').data;
    session.close();
    const worst = expected.reduce((most, value, index) => Math.max(most, Math.abs(value - (actual[index] ?? 0))), 0);
    expect(actual).toHaveLength(expected.length);
    expect(worst).toBeLessThan(1e-4);
  });
});

/** The first layer in plain arithmetic: x (positions, width) → (positions, width). */
function transformerLayer(checkpoint: Checkpoint, x: Float32Array, heads: number, visible: Int32Array): number[] {
  const values = (name: string) => checkpoint.tensors.get(`model.h.layers.0.${name}`)?.readFloat32() ?? [];
  const width = x.length / visible.length;
  const own = width / heads;
  const linear = (row: readonly number[], name: string, bias: string) => {
    const weight = values(name);
    return Array.from(values(bias), (start, out) =>
      row.reduce((sum, value, at) => sum + value * (weight[out * row.length + at] ?? 0), start),
    );
  };
  const normed = (row: readonly number[], name: string) => {
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const [scale, shift] = [values(`${name}.weight`), values(`${name}.bias`)];
    return row.map((value, at) => ((value - mean) / Math.sqrt(variance + 1e-5)) * (scale[at] ?? 0) + (shift[at] ?? 0));
  };
  const rows = Array.from(visible, (_, position) => [...x.subarray(position * width, (position + 1) * width)]);
  const projected = rows.map((row) => linear(row, 'self_attn.in_proj_weight', 'self_attn.in_proj_bias'));
  const at = (position: number, index: number) => projected[position]?.[index] ?? Number.NaN;
  return rows.flatMap((row, query) => {
    const mixed = Array.from({ length: width }, (_, channel) => {
      const from = Math.floor(channel / own) * own;
      const powers = Array.from({ length: visible[query] ?? 0 }, (_unused, key) => {
        let score = 0;
        for (let i = from; i < from + own; i++) score += at(query, i) * at(key, width + i);
        return Math.exp(score / Math.sqrt(own));
      });
      const total = powers.reduce((sum, power) => sum + power, 0);
      return powers.reduce((sum, power, key) => sum + (power / total) * at(key, 2 * width + channel), 0);
    });
    const attended = linear(mixed, 'self_attn.out_proj.weight', 'self_attn.out_proj.bias');
    const first = normed(
      row.map((value, index) => value + (attended[index] ?? 0)),
      'norm1',
    );
    const inner = linear(first, 'linear1.weight', 'linear1.bias').map((value) => Math.max(0, value));
    const outer = linear(inner, 'linear2.weight', 'linear2.bias');
    return normed(
      first.map((value, index) => value + (outer[index] ?? 0)),
      'norm2',
    );
  });
}

describe('settings of a checkpoint', () => {
  it('follow its tensors and config', () => {
    const settings = readText2SemanticSettings(randomText2Semantic(64, 4, 3, 0));
    expect(settings).toEqual({
      layers: 3,
      heads: 4,
      headWidth: 16,
      width: 64,
      feedForwardWidth: 256,
      vocabulary: 129,
      endToken: 128,
      phonemeCount: 40,
      bertWidth: 32,
      positions: 2560,
      earlyStopTokens: 2700,
    });
  });

  it('are refused where they contradict each other', () => {
    const checkpoint = randomText2Semantic(64, 4, 2, 0);
    const config = (model: Record<string, number>) => ({ ...checkpoint, data: { config: { model } } });
    expect(() => readText2SemanticSettings(config({ head: 5 }))).toThrow('5 attention heads do not fit a width of 64');
    expect(() => readText2SemanticSettings(config({ head: 4, n_layer: 9 }))).toThrow('declares 9 layers, but holds 2');
    const without = new Map(checkpoint.tensors);
    without.delete('model.h.layers.1.norm2.bias');
    const damaged = { ...checkpoint, tensors: without };
    expect(() => buildText2Semantic(damaged, readText2SemanticSettings(damaged))).toThrow(
      'random.ckpt has no tensor "model.h.layers.1.norm2.bias"',
    );
    const narrow = new Map(checkpoint.tensors);
    const stored = narrow.get('model.bert_proj.weight');
    if (stored) narrow.set('model.ar_predict_layer.weight', stored);
    const misshapen = { ...checkpoint, tensors: narrow };
    expect(() => buildText2Semantic(misshapen, readText2SemanticSettings(misshapen))).toThrow(
      'has shape [64, 32], expected [129, 64]',
    );
  });
});
