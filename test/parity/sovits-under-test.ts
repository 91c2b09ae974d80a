import { concatenate } from '../../src/audio/concatenate.js';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { openRuntime, output, type Session, type Tensor, tensor } from '../../src/engine/onnxruntime.js';
import { type NoiseSource, WaveformDecoder } from '../../src/engine/waveform-decoder.js';
import { type ModelSpec, readModelSpec } from '../../src/models/model-spec.js';
import { buildSovits, type SovitsGraphName } from '../../src/models/sovits/sovits.js';
import type { GraphModel } from '../../src/onnx/graph.js';
import { encodeModel } from '../../src/onnx/model-file.js';

/** Inner tensors of the networks that the reference recorded. */
const EXPOSED = [
  'ssl_proj',
  'ref_spectral',
  'ref_temporal',
  'ref_attn',
  'ge_ref_enc',
  'ge512',
  'enc_ssl',
  'enc_text',
  'mrte',
  'encoder2',
  'enc_p.y',
  'enc_p.m',
  'enc_p.logs',
];

/** The product's SoVITS networks over one checkpoint, compiled in memory. */
export class SovitsUnderTest {
  readonly checkpoint: Checkpoint;
  readonly spec: ModelSpec;
  readonly decoder: WaveformDecoder;
  readonly sessions: Readonly<Record<SovitsGraphName, Session>>;

  constructor(path: string) {
    this.checkpoint = openCheckpoint(path);
    this.spec = readModelSpec(this.checkpoint);
    const graphs = buildSovits(this.checkpoint, this.spec, { expose: EXPOSED });
    const compiled = Object.entries(graphs).map(([name, graph]) => [name, compileInMemory(graph)]);
    this.sessions = Object.fromEntries(compiled) as Record<SovitsGraphName, Session>; // the entries of a full record
    this.decoder = new WaveformDecoder(this.spec, this.sessions);
  }

  run(graph: SovitsGraphName, feeds: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
    return this.sessions[graph].run(feeds);
  }

  /** ge of one reference: its spectrogram (bins × frames, more bins than are read) and, in v2Pro, its speaker vector. */
  style(refer: Float32Array, frames: number, speakerVector?: Float32Array): Record<string, Tensor> {
    const { referenceBins } = this.spec;
    const feeds: Record<string, Tensor> = {
      refer: tensor('float32', [1, referenceBins, frames], refer.subarray(0, referenceBins * frames)),
    };
    if (speakerVector) feeds['sv_emb'] = tensor('float32', [1, speakerVector.length], speakerVector);
    return this.run('style', feeds);
  }

  /** The mean of the ge of several references. */
  averageStyle(
    references: readonly { readonly refer: Float32Array; readonly frames: number; readonly speaker?: Float32Array }[],
  ): Float32Array {
    const mean = new Float32Array(this.spec.globalEmbeddingWidth);
    for (const { refer, frames, speaker } of references) {
      const ge = output(this.style(refer, frames, speaker), 'ge', 'float32').data;
      for (let index = 0; index < mean.length; index++) mean[index]! += ge[index]! / references.length;
    }
    return mean;
  }

  close(): void {
    for (const session of Object.values(this.sessions)) session.close();
    this.checkpoint.close();
  }
}

/** A session over a graph with its weights inside. */
export function compileInMemory(graph: GraphModel): Session {
  return openRuntime().createSession(encodeModel(graph, null));
}

/** (rows, columns) row-major → (columns, rows). */
export function transposed(values: ArrayLike<number>, rows: number): Float32Array {
  const columns = values.length / rows;
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column] as number; // within the matrix
    }
  }
  return result;
}

/** The noise that the reference recorded, (inter, frames) row-major, frame by frame. */
export function recordedNoise(recorded: Float32Array): NoiseSource {
  return (frame, out) => {
    const frames = recorded.length / out.length;
    if (frame >= frames) throw new Error(`noise was recorded for ${frames} frames, frame ${frame} was asked for`);
    for (let channel = 0; channel < out.length; channel++) out[channel] = recorded[channel * frames + frame]!;
  };
}

/** Windows joined. */
export function joinWindows(windows: Iterable<Float32Array>): Float32Array {
  return concatenate([...windows]);
}
