import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { floats, mergedSovits, sovitsAdapterFile } from '../../test/fixtures/sovits-adapter.js';
import { takeTurns } from '../../test/fixtures/take-turns.js';
import { openReference } from '../../test/parity/reference.js';
import { compileInMemory, joinWindows } from '../../test/parity/sovits-under-test.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { writeSafetensors } from '../checkpoint/safetensors-writer.js';
import { readAdapterFile } from '../models/adapter-file.js';
import { type ModelSpec, readModelSpec } from '../models/model-spec.js';
import {
  ADAPTED_GRAPHS,
  type AdaptedGraph,
  adaptedModules,
  readSovitsAdapter,
  type SovitsAdapter,
} from '../models/sovits/adapter.js';
import { frameMap } from '../models/sovits/flow.js';
import { ADAPTER_GRAPHS, buildSovits, buildSovitsAdapters, SPEAKING_GRAPHS } from '../models/sovits/sovits.js';
import { AdapterStore } from './adapter-store.js';
import { ComponentStore, type NetworkSource } from './component-store.js';
import { openRuntime } from './onnxruntime.js';
import { fillNormal, RANDOM_STREAM } from './random.js';
import { type RenderCall, renderTasks } from './render-tasks.js';
import type { Caller, Task, TaskMethods } from './thread-tasks.js';
import { WaveformDecoder, type WaveformSessions } from './waveform-decoder.js';
import { WaveformStream } from './waveform-stream.js';

const reference = openReference();
const VERSIONS = ['v1', 'v2', 'v2Pro', 'v2ProPlus'] as const;
const PHONEMES = Array.from({ length: 24 }, (_, index) => 3 + ((index * 31) % 300));
/** Three windows and a rest. */
const TOKENS = 40;
/** What fp32 rounds differently when products are taken apart. */
const TOLERANCE = 1e-4;

const open: WaveformDecoder[] = [];
/** Graphs that were opened because an adapter changes them. */
const opened: string[] = [];
afterEach(() => {
  opened.length = 0;
  for (const decoder of open.splice(0)) decoder.close();
});

describe.each(VERSIONS)('an adapter of a %s waveform model', (version) => {
  const checkpoint = openCheckpoint(reference.path(`checkpoints/s2_${version}.pth`));
  const spec = readModelSpec(checkpoint);
  afterAll(() => checkpoint.close());
  const file = sovitsAdapterFile(spec, { seed: 1, rank: 8 });

  it('gives the sound of merged weights, whole and streamed', () => {
    const plain = decoderOf(checkpoint, spec);
    const adapted = plain.adapted(adapterOf(file, spec));
    const merged = decoderOf(mergedSovits(checkpoint, file), spec);
    for (const speak of [whole, streamed]) {
      const expected = speak(merged);
      expect(largestDifference(speak(adapted), expected)).toBeLessThan(TOLERANCE);
      expect(largestDifference(speak(plain), expected)).toBeGreaterThan(100 * TOLERANCE);
    }
  });

  it('changes what the file names and nothing else', () => {
    const plain = decoderOf(checkpoint, spec, ADAPTED_GRAPHS);
    for (const only of [
      /encoder_text|text_pre|conv_k/,
      /ssl_proj|encoder_ssl|cross_attention.conv_[qo]|c_p/,
      /enc_p\.proj|flow.*(pre|post)$/,
      /in_layers|cond_layer|res_skip/,
      /res_skip_layers.0/,
    ]) {
      const part = sovitsAdapterFile(spec, { seed: 2, rank: 3, only });
      const merged = decoderOf(mergedSovits(checkpoint, part), spec, ADAPTED_GRAPHS);
      const z = latent(plain.adapted(adapterOf(part, spec)));
      expect(largestDifference(z, latent(merged))).toBeLessThan(TOLERANCE);
      expect(largestDifference(z, latent(plain))).toBeGreaterThan(100 * TOLERANCE);
    }
  });

  it('opens the graphs that it changes, once, and runs the others as they are', () => {
    const plain = decoderOf(checkpoint, spec, ADAPTED_GRAPHS);
    const part = adapterOf(sovitsAdapterFile(spec, { seed: 3, rank: 2, only: /flow/ }), spec);
    const adapted = plain.adapted(part);
    plain.adapted(part);
    expect(opened).toEqual(['flow']);
    const [changed, original] = [adapted, plain].map((decoder) => decoder.encodeText(PHONEMES));
    expect(changed).toEqual(original);
    expect(largestDifference(latent(adapted), latent(plain))).toBeGreaterThan(100 * TOLERANCE);
  });

  it('may change every module that the graphs take, and no other', () => {
    const names = (graph: string) => [...adaptedModules(spec)].filter(([, module]) => module.graph === graph);
    const graphs = buildSovitsAdapters(checkpoint, spec);
    for (const [graph, name] of Object.entries(ADAPTER_GRAPHS)) {
      const inputs = graphs[name].inputs.map((port) => port.name).filter((input) => input.startsWith('a.'));
      expect(inputs.sort()).toEqual(
        names(graph)
          .map(([module]) => `a.${module}`)
          .sort(),
      );
    }
  });
});

describe('an adapter file', () => {
  const checkpoint = openCheckpoint(reference.path('checkpoints/s2_v2.pth'));
  const spec = readModelSpec(checkpoint);
  afterAll(() => checkpoint.close());
  const file = sovitsAdapterFile(spec, { seed: 1, rank: 4 });
  const at = 'base_model.model.enc_p.encoder_ssl.ffn_layers.0.conv_1';
  const changed = (change: (tensors: Map<string, ReturnType<typeof floats>>) => void): Checkpoint => {
    const tensors = new Map(file.tensors);
    change(tensors);
    return { ...file, tensors };
  };
  const put = (name: string, shape: readonly number[]) =>
    changed((tensors) => tensors.set(name, floats(name, shape, new Float32Array(shape.reduce((a, b) => a * b)))));

  it.each([
    [
      'of another model',
      () => put(`${at}.lora_A.weight`, [4, 7, 3]),
      `shape [4, 7, 3] in "${at}.lora_A.weight", expected [4, ${spec.hiddenChannels}, ${spec.kernelSize}]`,
    ],
    [
      'with another rank in one module',
      () => put(`${at}.lora_B.weight`, [spec.filterChannels, 5, 1]),
      `shape [${spec.filterChannels}, 5, 1] in "${at}.lora_B.weight", expected [${spec.filterChannels}, 4, 1]`,
    ],
    [
      'with half of a module',
      () => changed((tensors) => tensors.delete(`${at}.lora_B.weight`)),
      `has "${at}.lora_A.weight" without "${at}.lora_B.weight", expected shape [${spec.filterChannels}, 4, 1]`,
    ],
    [
      'that changes the codebook',
      () => put('ssl_proj.lora_A.weight', [4, 8, 1]),
      'has a tensor "ssl_proj.lora_A.weight"; expected',
    ],
    [
      'that changes the generator',
      () => put('dec.conv_pre.lora_A.weight', [4, 8, 7]),
      'has a tensor "dec.conv_pre.lora_A.weight"; expected',
    ],
    [
      'of a layer that is not there',
      () => put('enc_p.encoder2.attn_layers.9.conv_q.lora_A.weight', [4, 8, 1]),
      'has a tensor "enc_p.encoder2.attn_layers.9.conv_q.lora_A.weight"; a v2 model has no',
    ],
    ['whose rank is too large', () => sovitsAdapterFile(spec, { seed: 1, rank: 17 }), 'has rank 17, expected 1 to 16'],
    ['without tensors', () => changed((tensors) => tensors.clear()), 'changes nothing'],
  ])('%s is refused', (_, make, message) => {
    const read = () => readSovitsAdapter(readAdapterFile(make()), spec);
    expect(read).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_UNSUPPORTED', message: expect.stringContaining(message) }),
    );
  });

  it('may have matrices for convolutions of kernel 1, an adapter name, and any prefix', () => {
    const tensors = new Map(
      [...file.tensors].map(([name, tensor]) => {
        const renamed = name.replace('base_model.model.', 'x.').replace('.weight', '.default.weight');
        const shape = tensor.shape[2] === 1 ? tensor.shape.slice(0, 2) : tensor.shape;
        return [renamed, floats(renamed, shape, tensor.readFloat32())];
      }),
    );
    expect(adapterOf({ ...file, tensors }, spec)).toEqual(adapterOf(file, spec));
  });
});

describe('rendering with adapters', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-waveform-adapters-'));
  const runtime = openRuntime();
  const store = new ComponentStore(folder);
  const checkpoint = openCheckpoint(reference.path('checkpoints/s2_v2Pro.pth'));
  const spec = readModelSpec(checkpoint);
  const adapters = new AdapterStore(folder);
  const files = {
    sad: sovitsAdapterFile(spec, { seed: 1, rank: 4 }),
    glad: sovitsAdapterFile(spec, { seed: 2, rank: 16 }),
  };
  afterAll(() => {
    checkpoint.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const source = (adapted: boolean): NetworkSource => ({
    kind: 'sovits',
    sources: [],
    settings: spec,
    precision: 'fp32',
    compile: () => ({
      graphs: { ...buildSovits(checkpoint, spec), ...(adapted && buildSovitsAdapters(checkpoint, spec)) },
    }),
    attachments: {},
    ...(adapted && { graphNames: Object.values(ADAPTER_GRAPHS) }),
  });
  const started = (tasks: TaskMethods, component: string, adapter: string | null): Task => {
    const call: RenderCall = {
      component,
      phonemeIds: PHONEMES,
      globalEmbedding: embeddingOf(spec),
      speed: 1,
      key: { seed: 5, sentence: 0 },
      playedOutMs: null,
      adapter,
    };
    const sent = [{ tokens: Int32Array.from(tokensOf(spec)), finished: 'end' as const }];
    const caller: Caller = { sent, untaken: 0 };
    return tasks['render']?.(call as never, new AbortController().signal, caller) as Task;
  };

  it('gives callers at the same time each their own, and those without what they always got', async () => {
    const { digest } = store.compile(source(true), runtime);
    for (const [name, { tensors, data }] of Object.entries(files)) {
      const path = join(folder, `${name}.safetensors`);
      const entries = [...tensors.values()].map(({ name: tensor, shape, readFloat32 }) => {
        return { name: tensor, dtype: 'F32' as const, shape, load: readFloat32 };
      });
      await writeSafetensors(path, entries, data['__metadata__'] as Record<string, string>);
      const added = adapters.add(name, path, { text2semantic: {} as never, sovits: spec }); // the file has no such part
      expect(added).toMatchObject({ text2semantic: null, sovits: { changes: { size: tensors.size / 2 } } });
    }
    const tasks = renderTasks(store, runtime, adapters, new Int32Array(new SharedArrayBuffer(4)));
    const together = await inTurns(['sad', null, 'glad'].map((adapter) => started(tasks, digest, adapter)));
    const plain = decoderOf(checkpoint, spec);
    expect(together[1]).toEqual(streamed(plain));
    for (const [place, file] of [
      [0, files.sad],
      [2, files.glad],
    ] as const) {
      const merged = decoderOf(mergedSovits(checkpoint, file), spec);
      expect(largestDifference(together[place] as Float32Array, streamed(merged))).toBeLessThan(TOLERANCE);
      expect(together[place]).toEqual(streamed(plain.adapted(adapterOf(file, spec))));
    }
  });

  it('needs a model of an earlier release to be imported again, which then has the graphs and stays the same model', async () => {
    const old = new ComponentStore(mkdtempSync(join(folder, 'old-')));
    const { digest } = old.compile(source(false), runtime);
    const tasks = renderTasks(old, runtime, adapters, new Int32Array(new SharedArrayBuffer(4)));
    expect((await inTurns([started(tasks, digest, null)]))[0]).toEqual(streamed(decoderOf(checkpoint, spec)));
    const speak = async () => (await inTurns([started(tasks, digest, 'sad')]))[0];
    await expect(speak()).rejects.toThrow(
      expect.objectContaining({
        code: 'MODEL_STORE_CORRUPT',
        message: expect.stringMatching(/import the model again/),
      }),
    );
    expect(old.compile(source(true), runtime)).toMatchObject({
      digest,
      graphs: { 'flow-adapters': 'flow-adapters.onnx' },
    });
    expect(old.list()).toHaveLength(1);
    expect(await speak()).toEqual(streamed(decoderOf(checkpoint, spec).adapted(adapterOf(files.sad, spec))));
  });
});

/** Runs tasks turn by turn as a thread does; their samples. */
async function inTurns(tasks: readonly Task[]): Promise<Float32Array[]> {
  const pieces = await takeTurns(tasks);
  return pieces.map((all) => joinWindows(all.filter((piece) => piece instanceof Float32Array)));
}

function adapterOf(file: Checkpoint, spec: ModelSpec): SovitsAdapter {
  const adapter = readSovitsAdapter(readAdapterFile(file), spec);
  if (!adapter) throw new Error('the file changes nothing');
  return adapter;
}

/** A decoder over a checkpoint; without a generator where only {@link latent} is asked of it. */
function decoderOf(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  names: readonly (typeof SPEAKING_GRAPHS)[number][] = SPEAKING_GRAPHS,
): WaveformDecoder {
  const graphs = buildSovits(checkpoint, spec);
  const sessions = Object.fromEntries(names.map((name) => [name, compileInMemory(graphs[name])]));
  const adapted = buildSovitsAdapters(checkpoint, spec);
  const openAdapted = (graph: AdaptedGraph) => {
    opened.push(graph);
    return compileInMemory(adapted[ADAPTER_GRAPHS[graph]]);
  };
  const decoder = new WaveformDecoder(spec, sessions as unknown as WaveformSessions, { openAdapted }); // one for each name
  open.push(decoder);
  return decoder;
}

function whole(decoder: WaveformDecoder): Float32Array {
  const sentence = { ...sentenceOf(decoder.spec), semanticTokens: tokensOf(decoder.spec) };
  return joinWindows(decoder.decodeSentence(sentence));
}

/** What the generator would read. */
function latent(decoder: WaveformDecoder): Float32Array {
  const { globalEmbedding } = sentenceOf(decoder.spec);
  const text = decoder.encodeText(PHONEMES);
  const encoded = decoder.encodeTokens(tokensOf(decoder.spec), text, globalEmbedding);
  const noise = new Float32Array(encoded.frames * decoder.spec.interChannels).fill(0.3);
  return decoder.flow(encoded, frameMap(encoded.frames, 1), globalEmbedding, noise).data;
}

function streamed(decoder: WaveformDecoder): Float32Array {
  const stream = new WaveformStream(decoder, sentenceOf(decoder.spec));
  stream.push(tokensOf(decoder.spec));
  const windows: Float32Array[] = [];
  stream.end();
  while (stream.ready) windows.push(...stream.nextWindow());
  return joinWindows(windows);
}

function sentenceOf(spec: ModelSpec) {
  return {
    phonemeIds: PHONEMES,
    globalEmbedding: embeddingOf(spec),
    noise: (frame: number, out: Float32Array) =>
      fillNormal(out, { seed: 5, sentence: 0 }, frame, RANDOM_STREAM.waveform),
  };
}

function embeddingOf(spec: ModelSpec): Float32Array {
  return Float32Array.from({ length: spec.globalEmbeddingWidth }, (_, index) => 0.5 * Math.sin(index * 12.9898));
}

function tokensOf(spec: ModelSpec): number[] {
  return Array.from({ length: TOKENS }, (_, index) => (index * 197) % spec.codebookSize);
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (b[index] ?? Number.NaN))), 0);
}
