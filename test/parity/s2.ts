import { output, tensor } from '../../src/engine/onnxruntime.js';
import { frameMap, reverseFlow } from '../../src/models/sovits/flow.js';
import { framesOfTokens } from '../../src/models/sovits/text-encoder.js';
import { GraphBuilder } from '../../src/onnx/graph.js';
import { type CaseRunner, type Comparison, compare } from './harness.js';
import type { CaseTensor, ManifestCase, ReferenceData } from './reference.js';
import { compileInMemory, joinWindows, recordedNoise, SovitsUnderTest, transposed } from './sovits-under-test.js';
import { decodeStreaming, lastFrames } from './streaming-decode.js';

/** SoVITS of v1, v2, v2Pro and v2ProPlus: module by module, whole decoding, decoding in chunks. */
export const runSovitsCase: CaseRunner = async (testCase, reference) => {
  if (typeof testCase.checkpoint !== 'string') throw new Error(`case ${testCase.name} names no checkpoint`);
  const tensors = new CaseTensors(testCase, reference);
  const sovits = new SovitsUnderTest(reference.path(testCase.checkpoint));
  try {
    if (testCase.name.endsWith('_modules')) return compareModules(testCase, tensors, sovits);
    if (testCase.name.endsWith('_decode')) return compareDecode(testCase, tensors, sovits);
    if (testCase.name.endsWith('_decode_streaming')) return compareStreaming(testCase, tensors, sovits);
    throw new Error(`no way to run ${testCase.name}: expected …_modules, …_decode or …_decode_streaming`);
  } finally {
    sovits.close();
  }
};

function compareModules(testCase: ManifestCase, tensors: CaseTensors, sovits: SovitsUnderTest): Comparison[] {
  const { spec } = sovits;
  const { hiddenChannels: hidden, interChannels: inter } = spec;
  const results: Comparison[] = [];
  const check = (name: string, actual: ArrayLike<number>, tolerance?: number): void => {
    results.push(compare(testCase, name, actual, tensors.any(name), tolerance));
  };
  /** Ours is (frames, channels), the reference has channels first. */
  const checkTurned = (name: string, actual: ArrayLike<number>, channels: number): void =>
    check(name, transposed(actual, actual.length / channels));

  const quantized = sovits.run('quantizer', { ssl: tensors.tensor('ssl') });
  check('ssl_proj', output(quantized, 'ssl_proj', 'float32').data);
  const codes = Array.from(output(quantized, 'codes', 'int64').data, Number);
  const margins = tensors.any('codes_margin');
  const recorded = tensors.any('codes_from_ssl');
  // Where two codes are equally near, either is right.
  const decided = codes.map((code, index) => ((margins[index] ?? 0) > 1e-3 ? code : (recorded[index] ?? -1)));
  check('codes_from_ssl', decided, 0);

  const refer = tensors.get('refer_0');
  const speaker = spec.speakerVectorWidth === null ? undefined : tensors.floats('sv_emb_0');
  const style = sovits.style(tensors.floats('refer_0'), refer.shape[2] ?? 0, speaker);
  for (const name of ['ref_spectral', 'ref_temporal', 'ref_attn', 'ge_ref_enc', 'ge']) {
    check(name, output(style, name, 'float32').data);
  }

  const tokens = tensors.any('codes');
  const codebook = codebookRows(sovits);
  checkTurned('quantized', codebook(tokens), spec.sslWidth);
  checkTurned('quantized_x2', codebook(Array.from(framesOfTokens(spec, tokens), Number)), spec.sslWidth);

  const phonemes = tensors.ids('text');
  const text = sovits.run('text', { text: tensor('int64', [phonemes.length], phonemes) });
  checkTurned('enc_text', output(text, 'enc_text', 'float32').data, hidden);
  const frames = framesOfTokens(spec, tokens);
  const ge = tensors.floats('ge');
  const encoded = sovits.run('tokens', {
    codes: tensor('int64', [frames.length], frames),
    text_keys: output(text, 'text_keys', 'float32'),
    text_values: output(text, 'text_values', 'float32'),
    ge: tensor('float32', [1, ge.length, 1], ge),
  });
  for (const name of ['enc_ssl', 'mrte', 'encoder2']) checkTurned(name, output(encoded, name, 'float32').data, hidden);
  if (tensors.has('ge512')) check('ge512', output(encoded, 'ge512', 'float32').data);

  for (const [suffix, speed] of [
    ['', 1],
    ['_fast', Number(testCase.params['speed_fast'])],
    ['_slow', Number(testCase.params['speed_slow'])],
  ] as const) {
    const map = frameMap(frames.length, speed);
    const count = map.fraction.length;
    const prior = sovits.run('flow', {
      latent: output(encoded, 'latent', 'float32'),
      left: tensor('int64', [count], map.left),
      right: tensor('int64', [count], map.right),
      fraction: tensor('float32', [count, 1], map.fraction),
      noise: tensor('float32', [count, inter], new Float32Array(inter * count)),
      ge: tensor('float32', [1, ge.length, 1], ge),
    });
    checkTurned(`enc_p.y${suffix}`, output(prior, 'enc_p.y', 'float32').data, hidden);
    checkTurned(`enc_p.m${suffix}`, output(prior, 'enc_p.m', 'float32').data, inter);
    checkTurned(`enc_p.logs${suffix}`, output(prior, 'enc_p.logs', 'float32').data, inter);
    // No padding: the mask is as long as the frames, and all ones.
    check(`enc_p.mask${suffix}`, new Float32Array(count).fill(1));
  }

  check('flow.z', flowAlone(sovits, tensors.get('flow.z_p'), tensors.floats('flow.z_p'), ge));
  const waveFrames = (tensors.get('dec.wave').shape[2] ?? 0) / spec.hopSamples;
  const z = tensors.get('flow.z');
  const allFrames = z.shape[2] ?? 0;
  const first = new Float32Array(inter * waveFrames);
  for (let channel = 0; channel < inter; channel++) {
    const row = tensors.floats('flow.z').subarray(channel * allFrames, channel * allFrames + waveFrames);
    first.set(row, channel * waveFrames);
  }
  check('dec.wave', joinWindows(sovits.decoder.generate({ frames: waveFrames, data: first }, ge)));
  return results;
}

function compareDecode(testCase: ManifestCase, tensors: CaseTensors, sovits: SovitsUnderTest): Comparison[] {
  const runs = testCase.params['runs'] as { refs: number; noise_scale: number; speed: number }[];
  return runs.map((run, index) => {
    const references = Array.from({ length: run.refs }, (_, at) => ({
      refer: tensors.floats(`refer_${at}`),
      frames: tensors.get(`refer_${at}`).shape[2] ?? 0,
      ...(sovits.spec.speakerVectorWidth === null ? {} : { speaker: tensors.floats(`sv_emb_${at}`) }),
    }));
    const windows = sovits.decoder.decodeSentence({
      semanticTokens: tensors.any('codes'),
      phonemeIds: tensors.any('text'),
      globalEmbedding: sovits.averageStyle(references),
      speed: run.speed,
      noise: recordedNoise(tensors.floats(`noise_${index}`)),
      noiseScale: run.noise_scale,
    });
    return compare(testCase, `wave_${index}`, joinWindows(windows), tensors.any(`wave_${index}`));
  });
}

function compareStreaming(testCase: ManifestCase, tensors: CaseTensors, sovits: SovitsUnderTest): Comparison[] {
  const { decoder, spec } = sovits;
  const params = testCase.params as {
    first_codes: number;
    result_length: number;
    overlap_frames: number;
    speed_2: number;
  };
  const globalEmbedding = sovits.averageStyle([
    {
      refer: tensors.floats('refer_0'),
      frames: tensors.get('refer_0').shape[2] ?? 0,
      ...(spec.speakerVectorWidth === null ? {} : { speaker: tensors.floats('sv_emb_0') }),
    },
  ]);
  const text = decoder.encodeText(tensors.any('text'));
  const tokens = tensors.any('codes');
  const noiseOf = (index: number) => ({
    noise: recordedNoise(tensors.floats(`noise_${index}`)),
    noiseScale: 0.5, // upstream's default, which decode_streaming was recorded with
  });
  const first = decodeStreaming(decoder, {
    tokens: tokens.subarray(0, params.first_codes),
    text,
    globalEmbedding,
    speed: 1,
    ...noiseOf(0),
  });
  const later = [1, params.speed_2].map((speed, at) =>
    decodeStreaming(decoder, {
      tokens,
      text,
      globalEmbedding,
      speed,
      ...noiseOf(at + 1),
      resultTokens: params.result_length,
      overlap: lastFrames(first.latent, params.overlap_frames),
    }),
  );
  return [first, ...later].flatMap(({ wave, latent }, index) => {
    const turned = transposed(latent.data, latent.frames);
    return [
      compare(testCase, `wave_${index}`, wave, tensors.any(`wave_${index}`)),
      compare(testCase, `latent_${index}`, turned, tensors.any(`latent_${index}`)),
    ];
  });
}

/** The reverse flow compiled alone. */
function flowAlone(sovits: SovitsUnderTest, zp: CaseTensor, values: Float32Array, ge: Float32Array): Float32Array {
  const { spec, checkpoint } = sovits;
  const graph = new GraphBuilder('flow_alone');
  const prior = graph.input('z_p', 'float32', [1, spec.interChannels, 'frames']);
  const voice = graph.input('ge', 'float32', [1, spec.globalEmbeddingWidth, 1]);
  const z = reverseFlow({ graph, checkpoint, spec, expose: new Set() }, prior, voice);
  graph.output('z', z, 'float32', [1, spec.interChannels, 'frames']);
  const session = compileInMemory(graph.build());
  try {
    const feeds = { z_p: tensor('float32', zp.shape, values), ge: tensor('float32', [1, ge.length, 1], ge) };
    return output(session.run(feeds), 'z', 'float32').data;
  } finally {
    session.close();
  }
}

/** Rows of the codebook as the checkpoint holds it. */
function codebookRows(sovits: SovitsUnderTest): (codes: ArrayLike<number>) => Float32Array {
  const name = 'quantizer.vq.layers.0._codebook.embed';
  const codebook = sovits.checkpoint.tensors.get(name)?.readFloat32() ?? new Float32Array(0);
  const width = sovits.spec.sslWidth;
  return (codes) => {
    const rows = new Float32Array(codes.length * width);
    Array.from(codes).forEach((code, index) => {
      rows.set(codebook.subarray(code * width, (code + 1) * width), index * width);
    });
    return rows;
  };
}

/** Typed access to a case's tensors, with errors that name the case. */
class CaseTensors {
  readonly #testCase: ManifestCase;
  readonly #tensors: ReadonlyMap<string, CaseTensor>;

  constructor(testCase: ManifestCase, reference: ReferenceData) {
    this.#testCase = testCase;
    this.#tensors = reference.load(testCase);
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  get(name: string): CaseTensor {
    const found = this.#tensors.get(name);
    if (!found) throw new Error(`case ${this.#testCase.name} has no tensor ${name}`);
    return found;
  }

  any(name: string): CaseTensor['data'] {
    return this.get(name).data;
  }

  floats(name: string): Float32Array {
    const { data } = this.get(name);
    if (!(data instanceof Float32Array)) throw new Error(`${this.#testCase.name}: ${name} is not float32`);
    return data;
  }

  ids(name: string): BigInt64Array {
    return BigInt64Array.from(this.any(name), BigInt);
  }

  tensor(name: string) {
    return tensor('float32', this.get(name).shape, this.floats(name));
  }
}
