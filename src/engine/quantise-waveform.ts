import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concatenate } from '../audio/concatenate.js';
import { logMel, melDistance, melLoss } from '../audio/mel-distance.js';
import { resample } from '../audio/resample.js';
import { magnitudeSpectrogram } from '../audio/spectrogram.js';
import { decodeWav } from '../audio/wav.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { ModelSpec } from '../models/model-spec.js';
import { frameMap } from '../models/sovits/flow.js';
import {
  buildGenerator,
  type ConvolutionRange,
  type GeneratorPart,
  type GeneratorQuantization,
  quantizableConvolutions,
} from '../models/sovits/generator.js';
import { buildSovits } from '../models/sovits/sovits.js';
import type { GraphModel } from '../onnx/graph.js';
import { encodeModel } from '../onnx/model-file.js';
import { addsSignedProducts } from './column-weights.js';
import { cosine } from './cosine.js';
import { demoVoiceFolder } from './demo-voice.js';
import { output, type Runtime, type Session, tensor } from './onnxruntime.js';
import { MAX_LOSS, type QualityMeasure, type QualityReport, worstLoss } from './quality-report.js';
import { fillNormal, RANDOM_STREAM, uniformAt } from './random.js';
import { drawNoise, type LatentWave, WaveformDecoder, type WaveformSessions } from './waveform-decoder.js';

/** int8 must be so many times faster than fp32 on this processor to be worth any loss. */
const WORTH_IT = 1.1;
/** Frames of each calibration and test sentence (1.2 s). */
const FRAMES = 60;
const CALIBRATION_SENTENCES = 4;
const TEST_SENTENCES = 2;
/** Activations of other voices and texts may be a little larger than those seen. */
const HEADROOM = 1.1;
const TIMED_ROUNDS = 3;
const TIMED_FRAMES = 30;
/** Last stages that may go back to fp32 because that is faster. */
const OPTIONAL_STAGES = 2;

/** How to compile a generator, and why. */
export interface WaveformDecision {
  /** Null: fp32. */
  readonly quantization: GeneratorQuantization | null;
  readonly report: QualityReport;
}

interface Utterance {
  readonly z: LatentWave;
  readonly ge: Float32Array;
}

interface Candidate {
  readonly stages: readonly number[];
  readonly quantization: GeneratorQuantization;
}

/**
 * Decides by measurement which stages of a waveform generator are computed in int8: activation ranges from utterances of
 * the demo recordings' voices, then stage after stage taken back to fp32, that with the largest loss first, until every
 * measure of quality is within {@link MAX_LOSS}; and fp32 altogether where int8 is not clearly faster on this processor.
 * Takes some ten seconds for a full-size model.
 */
export function quantiseWaveform(
  checkpoint: Checkpoint,
  spec: ModelSpec,
  runtime: Runtime,
  { worthIt = WORTH_IT }: { readonly worthIt?: number } = {},
): WaveformDecision {
  const recordings = demoRecordings();
  if (recordings.length === 0 || quantizableConvolutions(spec).length === 0) {
    const why = recordings.length === 0 ? 'no recordings to calibrate with' : 'blocks of one convolution';
    return {
      quantization: null,
      report: { network: 'sovits', precision: 'int8', measures: [], kept: [`generator: fp32 (${why})`] },
    };
  }
  const lab = new Laboratory(checkpoint, spec, runtime);
  try {
    const utterances = lab.utterances(recordings, CALIBRATION_SENTENCES + TEST_SENTENCES);
    const ranges = lab.ranges(utterances.slice(0, CALIBRATION_SENTENCES));
    const tests = utterances.slice(CALIBRATION_SENTENCES);
    const originals = lab.speak(null, tests);
    const all = spec.generator.upsamples.map((_, stage) => stage);
    const weightBits = addsSignedProducts(runtime) ? 8 : 7;
    const candidate = (stages: readonly number[]): Candidate => ({
      stages,
      quantization: { ranges: rangesOf(ranges, spec, stages), weightBits },
    });
    const compare = (stages: readonly number[]): QualityMeasure[] =>
      lab.compare(originals, lab.speak(candidate(stages).quantization, tests), tests);

    let stages: readonly number[] = all;
    let measures = compare(stages);
    if (worstLoss(measures) > MAX_LOSS) {
      const alone = new Map(all.map((stage) => [stage, worstLoss(compare([stage]))]));
      while (stages.length > 0 && worstLoss(measures) > MAX_LOSS) {
        const worst = stages.reduce((a, b) => ((alone.get(a) ?? 0) >= (alone.get(b) ?? 0) ? a : b));
        stages = stages.filter((stage) => stage !== worst);
        measures = compare(stages);
      }
    }
    // Stages of few channels gain the least: with and without them, whatever is faster.
    const choices = stages
      .slice(0, OPTIONAL_STAGES + 1)
      .map((_, index) => candidate(stages.slice(0, stages.length - index)));
    const speeds = lab.speeds([null, ...choices.map((choice) => choice.quantization)], utterances[0] as Utterance);
    const [fp32 = 1, ...times] = speeds;
    const fastest = times.indexOf(Math.min(...times));
    const gain = fp32 / (times[fastest] ?? Number.POSITIVE_INFINITY);
    const chosen = gain >= worthIt ? (choices[fastest] ?? null) : null;
    const final = chosen ? compare(chosen.stages) : [];
    const kept = all
      .filter((stage) => !chosen?.stages.includes(stage))
      .map((stage) => `generator stage ${stage}: fp32`);
    return {
      quantization: chosen?.quantization ?? null,
      report: {
        network: 'sovits',
        precision: 'int8',
        measures: [
          ...final,
          {
            name: 'speed of the generator in int8 against fp32',
            value: gain,
            loss: null,
            over: `${TIMED_FRAMES} frames`,
          },
        ],
        kept,
      },
    };
  } finally {
    lab.close();
  }
}

/** Sessions over a checkpoint's graphs in memory, and what is done with them. */
class Laboratory {
  readonly #checkpoint: Checkpoint;
  readonly #spec: ModelSpec;
  readonly #runtime: Runtime;
  readonly #sessions = new Map<string, Session>();

  constructor(checkpoint: Checkpoint, spec: ModelSpec, runtime: Runtime) {
    this.#checkpoint = checkpoint;
    this.#spec = spec;
    this.#runtime = runtime;
    const graphs = buildSovits(checkpoint, spec);
    for (const name of ['text', 'tokens', 'flow', 'style'] as const) {
      this.#sessions.set(name, this.#open(graphs[name]));
    }
  }

  /** z of sentences in the voices of the recordings: any phonemes, and tokens that last as long as in speech. */
  utterances(recordings: readonly Recording[], count: number): Utterance[] {
    const spec = this.#spec;
    const decoder = this.#decoder(null);
    const embeddings = recordings.map((recording) => this.#style(recording));
    return Array.from({ length: count }, (_, index) => {
      const key = { seed: 1, sentence: index };
      const ge = embeddings[index % embeddings.length] as Float32Array; // at least one recording
      const drawn = (step: number, below: number): number =>
        Math.floor(uniformAt(key, step, 0, RANDOM_STREAM.tokens) * below);
      const phonemes = Array.from({ length: 24 }, (_, at) => drawn(at, spec.symbolCount));
      const tokens: number[] = [];
      for (let step = 100; tokens.length < FRAMES / spec.framesPerToken; step += 2) {
        const repeats = 1 + drawn(step + 1, 3);
        tokens.push(...new Array<number>(repeats).fill(drawn(step, spec.codebookSize)));
      }
      const latent = decoder.encodeTokens(
        tokens.slice(0, FRAMES / spec.framesPerToken),
        decoder.encodeText(phonemes),
        ge,
      );
      const noise = drawNoise(
        (frame, out) => fillNormal(out, key, frame, RANDOM_STREAM.waveform),
        latent.frames,
        spec.interChannels,
        0.5,
      );
      return { z: decoder.flow(latent, frameMap(latent.frames, 1), ge, noise), ge };
    });
  }

  /** The smallest and largest activations around each convolution. */
  ranges(utterances: readonly Utterance[]): Map<string, ConvolutionRange> {
    const session = this.#open(buildGenerator(this.#checkpoint, this.#spec, 'whole', { observe: true }));
    const found = new Map<string, ConvolutionRange>();
    for (const { z, ge } of utterances) {
      const results = session.run({
        z: tensor('float32', [1, this.#spec.interChannels, z.frames], z.data),
        ge: tensor('float32', [1, ge.length, 1], ge),
      });
      for (const prefix of quantizableConvolutions(this.#spec)) {
        const wider = (side: 'input' | 'output') => {
          const [low = 0, high = 0] = output(results, `${prefix}.${side}`, 'float32').data;
          const known = found.get(prefix)?.[side] ?? { min: 0, max: 0 };
          return { min: Math.min(known.min, low * HEADROOM), max: Math.max(known.max, high * HEADROOM) };
        };
        found.set(prefix, { input: wider('input'), output: wider('output') });
      }
    }
    session.close();
    return found;
  }

  speak(quantization: GeneratorQuantization | null, utterances: readonly Utterance[]): Float32Array[] {
    const decoder = this.#decoder(quantization);
    return utterances.map(({ z, ge }) => concatenate([...decoder.generate(z, ge)]));
  }

  compare(
    originals: readonly Float32Array[],
    copies: readonly Float32Array[],
    utterances: readonly Utterance[],
  ): QualityMeasure[] {
    const { sampleRateHz } = this.#spec;
    const pairs = originals.map((original, index) => {
      const copy = copies[index] as Float32Array; // as many as originals
      const [a, b] = [logMel(original, sampleRateHz), logMel(copy, sampleRateHz)];
      const speaker = cosine(
        this.#style({ samples: original, sampleRateHz }),
        this.#style({ samples: copy, sampleRateHz }),
      );
      return { loss: melLoss(a, b), distance: melDistance(a, b), speaker };
    });
    const mean = (pick: (pair: (typeof pairs)[number]) => number): number =>
      pairs.reduce((sum, pair) => sum + pick(pair), 0) / pairs.length;
    const over = `${utterances.length} sentences of ${FRAMES} frames`;
    const loss = mean((pair) => pair.loss);
    const speaker = mean((pair) => pair.speaker);
    return [
      { name: 'log-mel variance kept', value: 1 - loss, loss, over },
      { name: 'mel distance in decibels', value: mean((pair) => pair.distance), loss: null, over },
      { name: 'speaker similarity (cosine of the style encoder)', value: speaker, loss: 1 - speaker, over },
    ];
  }

  /** The least time of a few turns for each way to compile the generator. */
  speeds(variants: readonly (GeneratorQuantization | null)[], { z, ge }: Utterance): number[] {
    const decoders = variants.map((quantization) => this.#decoder(quantization));
    const times = decoders.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round <= TIMED_ROUNDS; round++) {
      for (const [index, decoder] of decoders.entries()) {
        const start = performance.now();
        for (const _ of decoder.generate(z, ge, { end: TIMED_FRAMES }));
        if (round > 0) times[index] = Math.min(times[index] ?? Number.POSITIVE_INFINITY, performance.now() - start);
      }
    }
    return times;
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }

  #decoder(quantization: GeneratorQuantization | null): WaveformDecoder {
    const stages = quantization ? [...quantization.ranges.keys()].join() : 'fp32';
    const generator = (part: GeneratorPart): Session => {
      const name = `${part}:${stages}`;
      const session =
        this.#sessions.get(name) ??
        this.#open(buildGenerator(this.#checkpoint, this.#spec, part, quantization ? { quantization } : {}));
      this.#sessions.set(name, session);
      return session;
    };
    const sessions = {
      ...Object.fromEntries(this.#sessions),
      generatorHead: generator('head'),
      generatorTail: generator('tail'),
    } as unknown as WaveformSessions; // text, tokens and flow are opened first
    return new WaveformDecoder(this.#spec, sessions);
  }

  #style({ samples, sampleRateHz }: Recording): Float32Array {
    const spec = this.#spec;
    const { data, frames } = magnitudeSpectrogram(resample(samples, sampleRateHz, spec.sampleRateHz), {
      fftSize: spec.filterLengthSamples,
      hopSamples: spec.hopSamples,
      windowSamples: spec.windowSamples,
    });
    const refer = data.subarray(0, spec.referenceBins * frames);
    const width = spec.speakerVectorWidth;
    const results = (this.#sessions.get('style') as Session).run({
      refer: tensor('float32', [1, spec.referenceBins, frames], refer),
      // What a speaker encoder would give is not known here; the layer behind it is linear up to its last step.
      ...(width === null ? {} : { sv_emb: tensor('float32', [1, width], new Float32Array(width)) }),
    });
    return output(results, 'ge', 'float32').data;
  }

  #open(graph: GraphModel): Session {
    return this.#runtime.createSession(encodeModel(graph, null));
  }
}

interface Recording {
  readonly samples: Float32Array;
  readonly sampleRateHz: number;
}

/** The recordings of the demo voices: two speakers whose voices the calibration speaks in. */
function demoRecordings(): Recording[] {
  const folder = demoVoiceFolder();
  if (!folder) return [];
  return ['ref_zh.wav', 'ref_en.wav'].map((name) => {
    const { channels, sampleRateHz } = decodeWav(readFileSync(join(folder, name)));
    return { samples: channels[0] ?? new Float32Array(0), sampleRateHz };
  });
}

function rangesOf(
  ranges: ReadonlyMap<string, ConvolutionRange>,
  spec: ModelSpec,
  stages: readonly number[],
): Map<string, ConvolutionRange> {
  const names = stages.flatMap((stage) => quantizableConvolutions(spec, stage));
  return new Map(
    names.flatMap((name) => {
      const range = ranges.get(name);
      return range ? [[name, range] as const] : [];
    }),
  );
}
