import { concatenate } from '../../src/audio/concatenate.js';
import type { SamplingParameters } from '../../src/engine/sampler.js';
import type { RowEvent, RowRequest } from '../../src/engine/semantic-decoder.js';
import type { Latent, NoiseSource } from '../../src/engine/waveform-decoder.js';
import { joinOverlapping } from './crossfade.js';
import { EndToEndModel, type EnrolledReference, type GivenSentence } from './end-to-end-model.js';
import { type CaseRunner, type Comparison, compare, compareInt16 } from './harness.js';
import { int16Wrapping } from './post.js';
import { finishSentence } from './postprocess.js';
import type { CaseArray, CaseTensor, ManifestCase, ReferenceData } from './reference.js';
import { joinWindows, recordedNoise } from './sovits-under-test.js';
import { decodeStreaming, lastFrames } from './streaming-decode.js';
import { buckets, inBatches } from './to-batch.js';
import { createTokenChunker, type TokenChunker } from './token-chunks.js';

/**
 * From a recording and sentences to 16-bit audio, the way upstream batches, streams and joins; the noise is that which
 * was recorded. upstream: TTS_infer_pack/TTS.py TTS.run, to_batch, audio_postprocess
 */
export const runEndToEndCase: CaseRunner = async (testCase, reference) => {
  const model = new EndToEndModel(testCase, reference);
  try {
    return await new EndToEndRun(testCase, reference, model).compare();
  } finally {
    model.close();
  }
};

/** Inputs of `TTS.run` with its defaults. */
interface RunInputs {
  readonly parallel: boolean;
  readonly streaming: boolean;
  readonly fragments: boolean;
  readonly splitBucket: boolean;
  readonly batchSize: number;
  readonly batchThreshold: number;
  readonly speed: number;
  readonly fragmentInterval: number;
  readonly overlapTokens: number;
  readonly minChunkTokens: number;
  readonly fixedChunks: boolean;
  readonly sampling: SamplingParameters;
}

/** Tokens a second upstream counts with when it stops early (`hz`), though there are 25. */
const EARLY_STOP_HZ = 50;
const CHUNK_SPLIT_THRESHOLD = 0;
/** A chunk shorter than this overlaps by what it lacks, too. */
const SHORT_CHUNK_TOKENS = 10;
const NOISE_SCALE = 0.5;
/** Nearer than this to a tie, a choice is left to rounding (reference README, Tolerances). */
const DECIDED_MARGIN = 1e-3;

class EndToEndRun {
  readonly #testCase: ManifestCase;
  readonly #reference: ReferenceData;
  readonly #tensors: ReadonlyMap<string, CaseTensor>;
  readonly #model: EndToEndModel;
  readonly #inputs: RunInputs;
  readonly #comparisons: Comparison[] = [];
  readonly #outputs: Float32Array[] = [];
  #voice: EnrolledReference = { globalEmbedding: new Float32Array(0), promptSemantic: new Int32Array(0) };
  #prompt: GivenSentence | null = null;
  #calls = 0;

  constructor(testCase: ManifestCase, reference: ReferenceData, model: EndToEndModel) {
    this.#testCase = testCase;
    this.#reference = reference;
    this.#tensors = reference.load(testCase);
    this.#model = model;
    this.#inputs = readInputs(testCase.params['inputs'] as Record<string, unknown>);
  }

  async compare(): Promise<Comparison[]> {
    const { params } = this.#testCase;
    const references = params['refs'] as string[];
    const voice = await this.#model.enrol(references.map((path) => this.#reference.path(path)));
    const margin = Number(params['smallest_prompt_code_margin'] ?? Infinity);
    this.#voice = { ...voice, promptSemantic: this.#decided('prompt_semantic', voice.promptSemantic, margin) };
    const given = params['sentences'] as GivenSentence[];
    this.#prompt = params['prompt_first'] ? (given[0] ?? null) : null;
    const sentences = this.#prompt ? given.slice(1) : given;

    if (this.#inputs.streaming) {
      // A batch at a time, of which only the first sentence is spoken.
      for (const batch of inBatches(sentences, this.#inputs.batchSize)) await this.#stream(first(batch));
    } else if (this.#inputs.fragments) {
      for (const batch of inBatches(sentences, this.#inputs.batchSize)) {
        this.#outputs.push(concatenate(this.#finished(await this.#speak(batch))));
      }
    } else {
      await this.#speakAll(sentences);
    }
    return [...this.#comparisons, ...this.#compareOutputs()];
  }

  async #speakAll(sentences: readonly GivenSentence[]): Promise<void> {
    const { splitBucket, batchSize, batchThreshold } = this.#inputs;
    const lengths = sentences.map((sentence) => Array.from(sentence.text).length);
    const batches = splitBucket
      ? buckets(lengths, batchSize, batchThreshold)
      : inBatches([...sentences.keys()], batchSize);
    const audio: Float32Array[] = [];
    for (const batch of batches) {
      const spoken = this.#finished(await this.#speak(batch.map((index) => sentences[index] as GivenSentence)));
      spoken.forEach((samples, at) => {
        audio[batch[at] as number] = samples;
      });
    }
    this.#outputs.push(concatenate(audio));
  }

  /** One batch: tokens row by row or side by side, then one waveform over all, or one each when the speed changes. */
  async #speak(sentences: readonly GivenSentence[]): Promise<Float32Array[]> {
    const rows = await Promise.all(sentences.map((sentence) => this.#request(sentence)));
    const tokens = this.#tokensOf(rows);
    if (this.#inputs.speed !== 1) {
      return sentences.map((sentence, index) => this.#decode(tokens[index] as number[], sentence.phones));
    }
    const { hopSamples, framesPerToken } = this.#model.sovits.spec;
    const wave = this.#decode(
      tokens.flat(),
      sentences.flatMap((sentence) => sentence.phones),
    );
    let end = 0;
    return tokens.map((row) => {
      const start = end;
      end += row.length * framesPerToken * hopSamples;
      return wave.slice(start, end);
    });
  }

  /** Tokens of each row as upstream hands them on. Rows never influence one another, so a batch is any number of rows. */
  #tokensOf(rows: readonly RowRequest[]): number[][] {
    const decoder = this.#model.text2semantic;
    // Without a prompt upstream's batched inference falls back to one row after another.
    const batched = this.#inputs.parallel && this.#prompt !== null;
    return inBatches(rows, batched ? decoder.capacity : 1).flatMap((group) => {
      const made = new Map<number, { tokens: number[]; finished: RowEvent['finished'] }>();
      const take = (event: RowEvent): void => {
        const row = made.get(event.row) ?? { tokens: [], finished: null };
        made.set(event.row, row);
        if (event.token !== null) row.tokens.push(event.token);
        row.finished = event.finished;
      };
      for (const row of group) take(decoder.addRow(row));
      while (decoder.size > 0) decoder.step().forEach(take);
      return [...made.values()].map(({ tokens, finished }) => {
        if (finished !== 'limit') return tokens;
        // One token beyond the limit: a batch drops it; alone, the slice by its index drops the first one instead,
        // and prompt-free inference returns index 0, which drops nothing.
        if (batched) return tokens.slice(0, -1);
        return this.#prompt === null ? tokens : tokens.slice(1);
      });
    });
  }

  #decode(tokens: readonly number[], phones: readonly number[]): Float32Array {
    const call = this.#nextCall();
    const margin = Number(this.#testCase.params['smallest_token_margin'] ?? Infinity);
    const decided = this.#decided(`call_${call}.decode.codes`, Int32Array.from(tokens), margin);
    this.#same(`call_${call}.decode.text`, phones);
    const windows = this.#model.sovits.decoder.decodeSentence({
      semanticTokens: decided,
      phonemeIds: phones,
      globalEmbedding: this.#voice.globalEmbedding,
      speed: this.#inputs.speed,
      noise: this.#noise(call),
      noiseScale: NOISE_SCALE,
    });
    return joinWindows(windows);
  }

  async #stream(sentence: GivenSentence): Promise<void> {
    const { decoder, spec } = this.#model.sovits;
    const { speed, overlapTokens, fragmentInterval } = this.#inputs;
    const samplesPerToken = spec.hopSamples * (spec.framesPerToken / speed);
    const overlapSamples = Math.ceil(overlapTokens * samplesPerToken);
    const text = decoder.encodeText(sentence.phones);
    const spoken: number[] = [];
    let previous: { readonly latent: Latent; readonly audio: Float32Array } | null = null;
    for (const { chunk, isFinal } of this.#chunks(await this.#request(sentence))) {
      if (chunk === null) {
        // Nothing was left: what the last chunk kept back is all there is.
        if (previous) this.#outputs.push(last(previous.audio, overlapSamples));
        break;
      }
      spoken.push(...chunk);
      const lacking = previous ? Math.max(0, SHORT_CHUNK_TOKENS - chunk.length) : 0;
      const call = this.#nextCall();
      const resultTokens = chunk.length + overlapTokens + lacking;
      const overlap: Latent | null = previous
        ? lastFrames(previous.latent, (overlapTokens + lacking) * spec.framesPerToken)
        : null;
      this.#same(`call_${call}.decode_streaming.codes`, spoken);
      this.#same(`call_${call}.decode_streaming.result_length`, [overlap ? resultTokens : -1]);
      this.#same(`call_${call}.decode_streaming.overlap`, [overlap?.frames ?? -1]);
      const decoded = decodeStreaming(decoder, {
        tokens: spoken,
        text,
        globalEmbedding: this.#voice.globalEmbedding,
        speed,
        noise: this.#noise(call),
        noiseScale: NOISE_SCALE,
        ...(overlap ? { resultTokens, overlap } : {}),
      });
      const audio: Float32Array =
        lacking > 0 ? last(decoded.wave, Math.trunc((overlapTokens + chunk.length) * samplesPerToken)) : decoded.wave;
      const { sent, kept } = faded(previous?.audio ?? null, audio, overlapSamples, isFinal);
      this.#outputs.push(finishSentence(sent, 0));
      previous = { latent: decoded.latent, audio: kept };
    }
    this.#outputs.push(new Float32Array(Math.trunc(spec.sampleRateHz * fragmentInterval)));
  }

  *#chunks(request: RowRequest): Generator<{ chunk: Int32Array | null; isFinal: boolean }> {
    const decoder = this.#model.text2semantic;
    const chunker: TokenChunker = createTokenChunker({
      chunkTokens: this.#inputs.minChunkTokens,
      muteSimilarity: this.#inputs.fixedChunks ? null : this.#model.muteSimilarity,
      threshold: CHUNK_SPLIT_THRESHOLD,
    });
    let event: RowEvent | undefined = decoder.addRow(request);
    while (event && !event.finished) {
      const chunk: Int32Array | null = event.token === null ? null : chunker.add(event.token);
      if (chunk) yield { chunk, isFinal: false };
      event = decoder.step()[0];
    }
    yield { chunk: chunker.finish(event?.token ?? undefined), isFinal: true };
  }

  async #request(sentence: GivenSentence): Promise<RowRequest> {
    const parts = this.#prompt ? [this.#prompt, sentence] : [sentence];
    const { text_lang, prompt_lang } = this.#testCase.params['inputs'] as Record<string, unknown>;
    const features = await Promise.all(
      parts.map((part) => this.#model.features(part, part === this.#prompt ? prompt_lang : text_lang)),
    );
    const maxSeconds = this.#testCase.params['max_sec'];
    return {
      phonemeIds: parts.flatMap((part) => part.phones),
      bertFeatures: concatenate(features),
      promptSemantic: this.#prompt ? this.#voice.promptSemantic : null,
      sampling: this.#inputs.sampling,
      seed: 0,
      sentenceKey: 0,
      ...(typeof maxSeconds === 'number' ? { maxNewTokens: maxSeconds * EARLY_STOP_HZ } : {}),
    };
  }

  /** Each sentence limited to full scale and followed by its pause. */
  #finished(sentences: readonly Float32Array[]): Float32Array[] {
    const pause = Math.trunc(this.#model.sovits.spec.sampleRateHz * this.#inputs.fragmentInterval);
    return sentences.map((samples) => finishSentence(samples, pause));
  }

  #compareOutputs(): Comparison[] {
    const expected = [...this.#tensors.keys()].filter((name) => name.startsWith('out_'));
    const calls = this.#testCase.params['calls'] as string[];
    return [
      compare(this.#testCase, 'calls', [this.#calls], [calls.length], 0),
      compare(this.#testCase, 'outputs', [this.#outputs.length], [expected.length], 0),
      ...this.#outputs.slice(0, expected.length).map((samples, index) => {
        return compareInt16(this.#testCase, `out_${index}`, int16Wrapping(samples), this.#data(`out_${index}`));
      }),
    ];
  }

  #same(name: string, actual: ArrayLike<number>): void {
    this.#comparisons.push(compare(this.#testCase, name, actual, this.#data(name), 0));
  }

  /**
   * Compares tokens exactly. Where upstream's own choice hung on less than {@link DECIDED_MARGIN}, either choice is right
   * and the case goes on with the recorded one.
   */
  #decided(name: string, actual: Int32Array, margin: number): Int32Array {
    const recorded = this.#data(name);
    const comparison = compare(this.#testCase, name, actual, recorded, 0);
    if (comparison.deviation === 0 || margin > DECIDED_MARGIN || actual.length !== recorded.length) {
      this.#comparisons.push(comparison);
      return actual;
    }
    this.#comparisons.push({ ...comparison, deviation: 0, note: `undecided: smallest margin ${margin}` });
    return Int32Array.from(recorded);
  }

  #noise(call: number): NoiseSource {
    const data = this.#data(`noise_${call}`);
    if (!(data instanceof Float32Array)) throw new Error(`noise_${call} is not float32`);
    return recordedNoise(data);
  }

  #data(name: string): CaseArray {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`case ${this.#testCase.name} has no tensor ${name}: more was made than upstream made`);
    return tensor.data;
  }

  #nextCall(): number {
    return this.#calls++;
  }
}

/** upstream: TTS.run, the variables at its beginning and what they switch off in one another. */
function readInputs(inputs: Readonly<Record<string, unknown>>): RunInputs {
  const number = (name: string, fallback: number): number => Number(inputs[name] ?? fallback);
  const flag = (name: string, fallback: boolean): boolean => Boolean(inputs[name] ?? fallback);
  const streaming = flag('streaming_mode', false);
  const fragments = flag('return_fragment', false) && !streaming;
  const speed = number('speed_factor', 1);
  return {
    parallel: flag('parallel_infer', true) && !streaming,
    streaming,
    fragments,
    splitBucket: flag('split_bucket', true) && !fragments && !streaming && speed === 1,
    batchSize: number('batch_size', 1),
    batchThreshold: number('batch_threshold', 0.75),
    speed,
    fragmentInterval: number('fragment_interval', 0.3),
    overlapTokens: number('overlap_length', 2),
    minChunkTokens: number('min_chunk_length', 16),
    fixedChunks: flag('fixed_length_chunk', false),
    sampling: {
      topK: number('top_k', 15),
      topP: number('top_p', 1),
      temperature: number('temperature', 1),
      repetitionPenalty: number('repetition_penalty', 1.35),
    },
  };
}

/**
 * What is sent of a chunk, and what of it the next one fades from. All but the overlap is sent, the final chunk whole and
 * without a fade. Upstream fades in place, so the next chunk sees what the fade has made of this one.
 */
function faded(
  before: Float32Array | null,
  audio: Float32Array,
  overlapSamples: number,
  isFinal: boolean,
): { sent: Float32Array; kept: Float32Array } {
  if (isFinal) return { sent: audio, kept: audio };
  if (!before) return { sent: audio.subarray(0, audio.length - overlapSamples), kept: audio };
  const joined = joinOverlapping([before, audio], overlapSamples).subarray(before.length - overlapSamples);
  const kept = concatenate([audio.subarray(0, audio.length - joined.length), joined]);
  return { sent: joined.subarray(0, joined.length - overlapSamples), kept };
}

function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error('an empty batch');
  return item;
}

/** The last `count` samples, all where there are fewer. */
function last(samples: Float32Array, count: number): Float32Array {
  return samples.subarray(Math.max(0, samples.length - count));
}
