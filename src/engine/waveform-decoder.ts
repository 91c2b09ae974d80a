import assert from 'node:assert';
import type { ModelSpec } from '../models/model-spec.js';
import type { AdaptedGraph, SovitsAdapter } from '../models/sovits/adapter.js';
import { type FrameMap, frameMap } from '../models/sovits/flow.js';
import { cutRate, inputRange } from '../models/sovits/generator.js';
import { framesOfTokens } from '../models/sovits/text-encoder.js';
import { type RunnableSession, withAdapter } from './adapted-sessions.js';
import { output, type Tensor, tensor } from './onnxruntime.js';

/** The sessions of a model's speaking graphs (see `models/sovits/sovits.ts`). */
export interface WaveformSessions {
  readonly text: RunnableSession;
  readonly tokens: RunnableSession;
  readonly flow: RunnableSession;
  readonly generatorHead: RunnableSession;
  readonly generatorTail: RunnableSession;
}

export interface WaveformDecoderOptions {
  /** Frames of audio a window; also how much is computed at most before a cancellation is noticed. */
  readonly windowFrames?: number;
  /** Rows a window is cut into, which the runtime computes side by side; 2 measured fastest on two threads. */
  readonly rows?: number;
  /** Opens a graph that takes adapters, when the first sentence has one that changes it; absent: no sentence may have one. */
  readonly openAdapted?: (graph: AdaptedGraph) => RunnableSession;
}

/** Fills `out` (one value a channel) with the standard normal values of one frame; the caller seeds them by frame. */
export type NoiseSource = (frame: number, out: Float32Array) => void;

export interface SentenceToDecode {
  readonly semanticTokens: ArrayLike<number>;
  /** Of the sentence itself, without those of the prompt. */
  readonly phonemeIds: ArrayLike<number>;
  /** ge of the voice, as the style encoder gives it (averaged over references). */
  readonly globalEmbedding: Float32Array;
  /** 2 is twice as fast; absent: 1. */
  readonly speed?: number;
  readonly noise: NoiseSource;
  /** How much of the noise is used; absent: upstream's 0.5. */
  readonly noiseScale?: number;
  readonly signal?: AbortSignal;
}

/** What the tokens attend to: the text side of the encoder, good for all chunks of a sentence. */
export interface EncodedText {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Frames of the encoder before the change of speed, (frames, hidden) row-major. */
export interface Latent {
  readonly frames: number;
  readonly data: Float32Array;
}

export interface EncodedTokens extends Latent {
  /** What each frame attends to in the text, (frames, phonemes) row-major. */
  readonly attention: Float32Array;
}

/** What the generator reads, (inter, frames) row-major. */
export interface LatentWave {
  readonly frames: number;
  readonly data: Float32Array;
}

export interface GenerateOptions {
  /** The frames of z to render; the others are context. Absent: all. */
  readonly start?: number;
  readonly end?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_WINDOW_FRAMES = 50;
const DEFAULT_ROWS = 2;
/** The head costs a fifth of the whole and has 10 frames of halo: longer windows pay. */
const HEAD_WINDOW_FRAMES = 100;
const DEFAULT_NOISE_SCALE = 0.5;

/**
 * Semantic tokens to samples. Runs are synchronous: between two windows the caller decides whether to go on (and lets
 * its event loop turn, so that an abort can arrive).
 * upstream: module/models.py SynthesizerTrn.decode.
 */
export class WaveformDecoder {
  readonly spec: ModelSpec;
  readonly #sessions: WaveformSessions;
  readonly #windowFrames: number;
  readonly #rows: number;
  readonly #openAdapted: WaveformDecoderOptions['openAdapted'] | null;
  readonly #adapted = new Map<AdaptedGraph, RunnableSession>();

  constructor(spec: ModelSpec, sessions: WaveformSessions, options: WaveformDecoderOptions = {}) {
    this.spec = spec;
    this.#sessions = sessions;
    this.#windowFrames = options.windowFrames ?? DEFAULT_WINDOW_FRAMES;
    this.#rows = options.rows ?? DEFAULT_ROWS;
    this.#openAdapted = options.openAdapted ?? null;
  }

  /**
   * The decoder with a voice's network changed by an adapter, over the sessions of this one, which is the one to close.
   * The generator is the same for all.
   */
  adapted(adapter: SovitsAdapter): WaveformDecoder {
    const openAdapted = this.#openAdapted;
    assert(openAdapted, 'this decoder takes no adapters');
    const open = (graph: AdaptedGraph): RunnableSession => {
      const session = this.#adapted.get(graph) ?? openAdapted(graph);
      this.#adapted.set(graph, session);
      return session;
    };
    const sessions = { ...this.#sessions, ...withAdapter(open, adapter, this.spec) };
    return new WaveformDecoder(this.spec, sessions, { windowFrames: this.#windowFrames, rows: this.#rows });
  }

  /** Samples that `tokenCount` tokens become at a speed. */
  lengthSamples(tokenCount: number, speed = 1): number {
    if (tokenCount === 0) return 0;
    return frameMap(tokenCount * this.spec.framesPerToken, speed).fraction.length * this.spec.hopSamples;
  }

  /**
   * Yields the samples of one sentence window by window, without gap or overlap; together they are exactly what one run
   * over the sentence gives. Encoder and flow run before the first window. Throws `signal.reason` at the next window
   * once aborted.
   */
  *decodeSentence(sentence: SentenceToDecode): Generator<Float32Array, void, undefined> {
    const { semanticTokens, globalEmbedding, speed = 1, noiseScale = DEFAULT_NOISE_SCALE, signal } = sentence;
    if (semanticTokens.length === 0) return;
    signal?.throwIfAborted();
    const text = this.encodeText(sentence.phonemeIds);
    signal?.throwIfAborted();
    const latent = this.encodeTokens(semanticTokens, text, globalEmbedding);
    signal?.throwIfAborted();
    const map = frameMap(latent.frames, speed);
    const noise = drawNoise(sentence.noise, map.fraction.length, this.spec.interChannels, noiseScale);
    const z = this.flow(latent, map, globalEmbedding, noise);
    yield* this.generate(z, globalEmbedding, signal ? { signal } : {});
  }

  /** The text side of the encoder, once a sentence. */
  encodeText(phonemeIds: ArrayLike<number>): EncodedText {
    const ids = BigInt64Array.from(phonemeIds, BigInt);
    const results = this.#sessions.text.run({ text: tensor('int64', [ids.length], ids) });
    return { keys: output(results, 'text_keys', 'float32'), values: output(results, 'text_values', 'float32') };
  }

  /** The token side of the encoder, before the change of speed. */
  encodeTokens(tokens: ArrayLike<number>, text: EncodedText, globalEmbedding: Float32Array): EncodedTokens {
    const codes = framesOfTokens(this.spec, tokens);
    const results = this.#sessions.tokens.run({
      codes: tensor('int64', [codes.length], codes),
      text_keys: text.keys,
      text_values: text.values,
      ge: this.#ge(globalEmbedding),
    });
    return {
      frames: codes.length,
      data: output(results, 'latent', 'float32').data,
      attention: output(results, 'text_attention', 'float32').data,
    };
  }

  /** Change of speed, prior and flow. `noise` (target frames × inter) is used as it is, already scaled. */
  flow(latent: Latent, map: FrameMap, globalEmbedding: Float32Array, noise: Float32Array): LatentWave {
    const frames = map.fraction.length;
    const results = this.#sessions.flow.run({
      latent: tensor('float32', [latent.frames, this.spec.hiddenChannels], latent.data),
      left: tensor('int64', [frames], map.left),
      right: tensor('int64', [frames], map.right),
      fraction: tensor('float32', [frames, 1], map.fraction),
      noise: tensor('float32', [frames, this.spec.interChannels], noise),
      ge: this.#ge(globalEmbedding),
    });
    return { frames, data: output(results, 'z', 'float32').data };
  }

  /**
   * The generator in windows with as much context on either side as its convolutions reach, so that the seams are
   * those of one run. Frames outside `z` count as what lies beyond the ends of the sentence. The head is computed a
   * window or two ahead.
   */
  *generate(
    z: LatentWave,
    globalEmbedding: Float32Array,
    options: GenerateOptions = {},
  ): Generator<Float32Array, void, undefined> {
    const { start: first = 0, end: last = z.frames, signal } = options;
    const { hopSamples } = this.spec;
    const rate = cutRate(this.spec);
    const hidden = new Plane(this.#hiddenChannels(), z.frames * rate);
    const windows = Math.ceil((last - first) / this.#windowFrames);
    const windowFrames = Math.ceil((last - first) / windows);
    const neededUntil = (rows: readonly TailRow[]): number =>
      Math.ceil(Math.max(...rows.map((row) => row.inputEnd)) / rate);
    const rowsOf = (start: number, end: number): TailRow[] =>
      this.#rowsOf(start * hopSamples, end * hopSamples, hidden.columns);
    const headEnd = neededUntil(rowsOf(Math.max(first, last - windowFrames), last));
    let headFrames: number | null = null;
    for (let start = first; start < last; start += windowFrames) {
      const end = Math.min(start + windowFrames, last);
      const rows = rowsOf(start, end);
      const needed = neededUntil(rows);
      // At first only what the first window needs, so that it comes soon.
      let next = needed;
      headFrames ??= Math.floor(Math.min(...rows.map((row) => row.inputStart)) / rate);
      while (headFrames < needed) {
        signal?.throwIfAborted();
        if (start > first) next = Math.max(needed, Math.min(headFrames + HEAD_WINDOW_FRAMES, headEnd));
        this.#runHead(z, globalEmbedding, headFrames, next, hidden);
        headFrames = next;
      }
      signal?.throwIfAborted();
      yield this.#runTail(hidden, rows, (end - start) * hopSamples);
    }
  }

  close(): void {
    const sessions: readonly RunnableSession[] = Object.values(this.#sessions);
    for (const session of [...sessions, ...this.#adapted.values()]) session.close();
  }

  #ge(globalEmbedding: Float32Array): Tensor {
    return tensor('float32', [1, this.spec.globalEmbeddingWidth, 1], globalEmbedding);
  }

  #hiddenChannels(): number {
    return this.spec.generator.upsamples[0]?.channels ?? 0;
  }

  /** Computes columns of `hidden` for frames [start, end). */
  #runHead(z: LatentWave, globalEmbedding: Float32Array, start: number, end: number, hidden: Plane): void {
    const rate = cutRate(this.spec);
    const reach = inputRange(this.spec, 'head', { start: start * rate, end: end * rate });
    const from = Math.max(0, reach.start);
    const to = Math.min(z.frames, reach.end);
    const source = new Plane(this.spec.interChannels, z.frames, z.data);
    const window = new Float32Array(this.spec.interChannels * (to - from));
    source.copyOut(from, to, window);
    const results = this.#sessions.generatorHead.run({
      z: tensor('float32', [1, this.spec.interChannels, to - from], window),
      ge: this.#ge(globalEmbedding),
    });
    const computed = new Plane(hidden.channels, (to - from) * rate, output(results, 'hidden', 'float32').data);
    hidden.copyIn(start * rate, computed, (start - from) * rate, (end - start) * rate);
  }

  #runTail(hidden: Plane, rows: readonly TailRow[], lengthSamples: number): Float32Array {
    const columns = (rows[0]?.inputEnd ?? 0) - (rows[0]?.inputStart ?? 0);
    const input = new Float32Array(rows.length * hidden.channels * columns);
    rows.forEach((row, index) => {
      const part = input.subarray(index * hidden.channels * columns, (index + 1) * hidden.channels * columns);
      hidden.copyOut(row.inputStart, row.inputEnd, part);
    });
    const results = this.#sessions.generatorTail.run({
      hidden: tensor('float32', [rows.length, hidden.channels, columns], input),
    });
    const wave = output(results, 'wave', 'float32').data;
    const perColumn = this.spec.hopSamples / cutRate(this.spec);
    const samples = new Float32Array(lengthSamples);
    let written = 0;
    rows.forEach((row, index) => {
      const from = index * columns * perColumn + row.start - row.inputStart * perColumn;
      samples.set(wave.subarray(from, from + row.end - row.start), written);
      written += row.end - row.start;
    });
    return samples;
  }

  /** Cuts output samples [start, end) into rows with inputs of one length. */
  #rowsOf(start: number, end: number, columns: number): TailRow[] {
    const perRow = Math.ceil((end - start) / this.#rows);
    const parts: { start: number; end: number; from: number; to: number }[] = [];
    for (let at = start; at < end; at += perRow) {
      const part = { start: at, end: Math.min(at + perRow, end) };
      const reach = inputRange(this.spec, 'tail', part);
      parts.push({ ...part, from: Math.max(0, reach.start), to: Math.min(columns, reach.end) });
    }
    const length = Math.max(...parts.map((part) => part.to - part.from));
    return parts.map((part) => {
      // More context than needed changes nothing; it makes the rows one batch.
      const inputStart = Math.min(part.from, columns - length);
      return { start: part.start, end: part.end, inputStart, inputEnd: inputStart + length };
    });
  }
}

interface TailRow {
  /** Samples of the sentence this row gives. */
  readonly start: number;
  readonly end: number;
  /** Columns of `hidden` it reads. */
  readonly inputStart: number;
  readonly inputEnd: number;
}

/** A (channels, columns) row-major matrix of which stretches of columns are copied. */
class Plane {
  readonly channels: number;
  readonly columns: number;
  readonly data: Float32Array;

  constructor(channels: number, columns: number, data: Float32Array = new Float32Array(channels * columns)) {
    this.channels = channels;
    this.columns = columns;
    this.data = data;
  }

  copyOut(from: number, to: number, target: Float32Array): void {
    for (let channel = 0; channel < this.channels; channel++) {
      const row = channel * this.columns;
      target.set(this.data.subarray(row + from, row + to), channel * (to - from));
    }
  }

  copyIn(at: number, source: Plane, from: number, count: number): void {
    for (let channel = 0; channel < this.channels; channel++) {
      const row = channel * source.columns + from;
      this.data.set(source.data.subarray(row, row + count), channel * this.columns + at);
    }
  }
}

/** Noise of `frames` frames times `scale`, (frames, channels) row-major. */
export function drawNoise(source: NoiseSource, frames: number, channels: number, scale: number): Float32Array {
  const noise = new Float32Array(frames * channels);
  if (scale === 0) return noise;
  for (let frame = 0; frame < frames; frame++) source(frame, noise.subarray(frame * channels, (frame + 1) * channels));
  if (scale !== 1) for (let index = 0; index < noise.length; index++) noise[index]! *= scale;
  return noise;
}
