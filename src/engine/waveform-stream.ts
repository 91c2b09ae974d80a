import { concatenate } from '../audio/concatenate.js';
import type { ModelSpec } from '../models/model-spec.js';
import type { FrameMap } from '../models/sovits/flow.js';
import { phonemeStarts } from './phoneme-times.js';
import {
  drawNoise,
  type EncodedText,
  type Latent,
  type SentenceToDecode,
  type WaveformDecoder,
} from './waveform-decoder.js';

/** A sentence whose tokens are still to come. */
export type StreamedSentence = Omit<SentenceToDecode, 'semanticTokens'>;

/**
 * Tokens that each window adds: the first one soon, the next ones longer, since a window's context costs the same
 * whatever its length. Fixed, and not by the clock, so that the same tokens give the same samples whoever else is being
 * served; growth by at most a half keeps the next window ready before the last one is played as long as tokens and
 * waveform together take less than two thirds of real time.
 */
const WINDOW_TOKENS = [8, 8, 12, 16, 24, 32, 40] as const;

/**
 * The same for small networks, which are far enough ahead of the listener on any machine: the first sound comes sooner.
 * By size and not by measured speed, so that a model sounds the same everywhere.
 */
const WINDOW_TOKENS_OF_SMALL = [4, 6, 8, 12, 16, 24, 32, 40] as const;

/** Half of the official width, and so a quarter of the work. */
const SMALL_GENERATOR_CHANNELS = 256;

/**
 * What a window sees before and behind the tokens it adds, in tokens. Measured on the demo voice at the last frame of a
 * window, as the distance of z from that of the whole sentence (another seed: 0.76): look-ahead 0 tokens 0.28,
 * 2 0.054, 4 0.033, 8 0.029, 16 0.023; context before 12 0.042, 16 0.035, 24 0.023 (with 8 ahead). What remains is the
 * attention's weak view of the whole sentence.
 */
const CONTEXT_TOKENS = 24;
const LOOK_AHEAD_TOKENS = 4;

function windowTokensOf({ generator }: ModelSpec): readonly number[] {
  return generator.initialChannels <= SMALL_GENERATOR_CHANNELS ? WINDOW_TOKENS_OF_SMALL : WINDOW_TOKENS;
}

/** Tokens that the first window of a sentence takes at its usual pace, those it looks ahead included. */
export function firstWindowTokens(spec: ModelSpec): number {
  return (windowTokensOf(spec)[0] ?? 0) + LOOK_AHEAD_TOKENS;
}

/** Frames before a window over which the flow is computed again; its influence is below 10⁻⁴ from 8 on. */
const FLOW_CONTEXT_FRAMES = 12;
/** Frames before a window that the generator reads (its two parts reach 10 and 2 frames, see `inputRange`). */
const GENERATOR_CONTEXT_FRAMES = 14;
/**
 * A window may end so many frames earlier (at most a quarter of it), where the sound changes least: seams then lie in
 * silent or steady places. Without, one of 110 seams of the demo voice changed the spectrum more than the interior's
 * 99th percentile; with it none of 61 did.
 */
const CUT_CHOICE_FRAMES = 8;
/** Frames over which one window's z gives way to the next one's. */
const FADE_FRAMES = 4;
/** Most that the pace changes from one frame to the next: from 1 to 2 in half a second. */
const PACE_STEP = 1.03;

/**
 * The waveform of one sentence while its tokens are still being decoded. `push` takes tokens, `end` says that there are
 * no more, and `nextWindow` yields samples once enough tokens are there (`ready`); windows follow one another without
 * gap, overlap or repetition.
 *
 * A window encodes its tokens between bounded context, so its cost does not grow with the sentence. Seams are made where
 * they cannot be heard: z of two windows, which differ little and have the same noise, is faded over a few frames, and
 * the generator then runs over z as if it had been computed at once.
 */
export class WaveformStream {
  readonly #decoder: WaveformDecoder;
  readonly #sentence: StreamedSentence;
  #text: EncodedText | null = null;
  readonly #tokens: number[] = [];
  readonly #windowTokens: readonly number[];
  #ended = false;
  #windows = 0;
  /** Source frames whose audio has been given. */
  #doneSource = 0;
  /** Where each target frame begins, in source frames; the pace is the distance between two. */
  readonly #starts: number[] = [0];
  #pace: number;
  #targetPace: number;
  /** Frames of audio that have been given. */
  #doneFrames = 0;
  /** What the source frames given so far attend to, a window each. */
  readonly #attention: Float32Array[] = [];
  #phonemeStarts: Float64Array | null = null;
  /** z of the last frames done and the first ones of the next window, (inter, frames), from `#zStart` on. */
  #z: Frames;

  constructor(decoder: WaveformDecoder, sentence: StreamedSentence) {
    this.#decoder = decoder;
    this.#sentence = sentence;
    this.#windowTokens = windowTokensOf(decoder.spec);
    this.#pace = sentence.speed ?? 1;
    this.#targetPace = this.#pace;
    this.#z = { start: 0, end: 0, data: new Float32Array(0) };
  }

  push(tokens: ArrayLike<number>): void {
    for (let index = 0; index < tokens.length; index++) this.#tokens.push(tokens[index] as number); // in range
  }

  /** Says that all tokens have been pushed. */
  end(): void {
    this.#ended = true;
  }

  /** The pace from the next window on; reached in small steps. */
  set speed(speed: number) {
    this.#targetPace = speed;
  }

  /** Whether all audio has been given. */
  get over(): boolean {
    return this.#ended && this.#doneSource === this.#tokens.length * this.#decoder.spec.framesPerToken;
  }

  /**
   * The sample at which each phoneme begins, and at last the number of samples; known when the first piece of the last
   * window has been given, null before.
   */
  get phonemeStarts(): Float64Array | null {
    return this.#phonemeStarts;
  }

  /** Whether `nextWindow` has something to give. */
  get ready(): boolean {
    return this.#fullWindow !== null || (this.#ended && !this.over);
  }

  /** Computes what needs no tokens, so that it is there when they come. */
  prepare(): void {
    this.#text ??= this.#decoder.encodeText(this.#sentence.phonemeIds);
  }

  /** Computes the next window, in pieces short enough to notice a cancellation between them; nothing when not `ready`. */
  *nextWindow(): Generator<Float32Array, void, undefined> {
    if (!this.ready) return;
    const { signal, globalEmbedding } = this.#sentence;
    signal?.throwIfAborted();
    this.prepare();
    signal?.throwIfAborted();
    const full = this.#fullWindow;
    const all = this.#tokens.length;
    const window = full ?? { end: all, seen: all };
    const { source, ...frames } = this.#advance(window.end, window.seen);
    signal?.throwIfAborted();
    const { start } = this.#z;
    yield* this.#decoder.generate({ frames: this.#z.end - start, data: this.#z.data }, globalEmbedding, {
      start: frames.start - start,
      end: frames.end - start,
      ...(signal ? { signal } : {}),
    });
    this.#doneSource = source;
    this.#doneFrames = frames.end;
    this.#windows += 1;
    this.#z = this.#cut(this.#z, Math.max(0, frames.end - GENERATOR_CONTEXT_FRAMES), this.#z.end);
  }

  /** The tokens of the next window, and of its look-ahead, when both are there. */
  get #fullWindow(): { readonly end: number; readonly seen: number } | null {
    const size = this.#windowTokens[Math.min(this.#windows, this.#windowTokens.length - 1)] ?? 0;
    const end = Math.floor(this.#doneSource / this.#decoder.spec.framesPerToken) + size;
    // Faster speech has fewer frames a token, of which the generator wants as many.
    const seen = end + Math.ceil(LOOK_AHEAD_TOKENS * Math.max(1, this.#pace, this.#targetPace));
    return seen <= this.#tokens.length ? { end, seen } : null;
  }

  /**
   * Brings z up to the frames of the tokens before `endToken`, or a little less, with what is known beyond; returns the
   * new frames, and where in the source they end.
   */
  #advance(endToken: number, seenToken: number): { start: number; end: number; source: number } {
    const { spec } = this.#decoder;
    const { globalEmbedding, noise, noiseScale = 0.5 } = this.#sentence;
    const { framesPerToken: rate, interChannels } = spec;
    const fromToken = Math.max(0, Math.floor(this.#doneSource / rate) - CONTEXT_TOKENS);
    const latent = this.#decoder.encodeTokens(
      this.#tokens.slice(fromToken, seenToken),
      this.#text as EncodedText, // made before
      globalEmbedding,
    );
    const source = { start: fromToken * rate, end: seenToken * rate };
    const last = endToken === seenToken;
    this.#layOut(last ? source.end : source.end - 0.5);
    const start = this.#doneFrames;
    const sourceEnd = last ? source.end : this.#cutBefore(endToken * rate, latent, source.start);
    const end = this.#framesBefore(sourceEnd);
    const { length: phonemes } = this.#sentence.phonemeIds;
    const seen = [this.#doneSource, sourceEnd].map((frame) => (frame - source.start) * phonemes);
    this.#attention.push(latent.attention.slice(...seen));
    if (last) this.#phonemeStarts = this.#placePhonemes(end);
    const known = this.#framesBefore(last ? source.end : source.end - 0.5);
    const from = this.#framesBefore(
      Math.max(source.start, this.#starts[Math.max(0, start - FLOW_CONTEXT_FRAMES)] ?? 0),
    );
    const drawn = drawNoise((frame, out) => noise(frame + from, out), known - from, interChannels, noiseScale);
    const computed = this.#decoder.flow(latent, this.#frameMap(from, known, source), globalEmbedding, drawn);
    this.#z = this.#faded({ start: from, end: known, data: computed.data }, start);
    // Frames behind the fade are placed anew by the next window, at the pace of then.
    this.#starts.length = Math.min(this.#starts.length, end + FADE_FRAMES + 1);
    return { start, end, source: sourceEnd };
  }

  /** In samples, given how many frames there are; source frames that are said faster are heard sooner. */
  #placePhonemes(frameCount: number): Float64Array {
    const starts = phonemeStarts(concatenate(this.#attention), Array.from(this.#sentence.phonemeIds));
    const { hopSamples } = this.#decoder.spec;
    let frame = 0;
    return Float64Array.from(starts, (source, index) => {
      if (index === starts.length - 1) return frameCount * hopSamples;
      while (frame < frameCount && (this.#starts[frame + 1] ?? Number.POSITIVE_INFINITY) <= source) frame += 1;
      const begin = this.#starts[frame] ?? 0;
      const width = (this.#starts[frame + 1] ?? begin + this.#pace) - begin;
      return Math.min(frameCount, frame + (source - begin) / width) * hopSamples;
    });
  }

  /** The frame within {@link CUT_CHOICE_FRAMES} before `end` that differs least from the one before it. */
  #cutBefore(end: number, latent: Latent, latentStart: number): number {
    const { hiddenChannels: hidden } = this.#decoder.spec;
    let best = end;
    let least = Number.POSITIVE_INFINITY;
    const choice = Math.min(CUT_CHOICE_FRAMES, (end - this.#doneSource) >> 2);
    for (let frame = end; frame > end - choice; frame--) {
      let change = 0;
      for (let at = (frame - latentStart) * hidden, channel = 0; channel < hidden; channel++, at++) {
        change += (latent.data[at]! - latent.data[at - hidden]!) ** 2;
      }
      if (change < least) {
        best = frame;
        least = change;
      }
    }
    return best;
  }

  /** Places target frames until one begins at or behind `until` (source frames). */
  #layOut(until: number): void {
    for (let at = this.#starts.at(-1) ?? 0; at < until; ) {
      const wanted = this.#targetPace;
      this.#pace =
        wanted > this.#pace ? Math.min(wanted, this.#pace * PACE_STEP) : Math.max(wanted, this.#pace / PACE_STEP);
      at += this.#pace;
      this.#starts.push(at);
    }
  }

  /** How many target frames begin before a place. */
  #framesBefore(place: number): number {
    let count = this.#starts.length;
    while (count > 0 && (this.#starts[count - 1] ?? 0) >= place) count -= 1;
    return count;
  }

  /** Source frames that target frames [from, to) lie between, counted from the start of `source`. */
  #frameMap(from: number, to: number, source: { readonly start: number; readonly end: number }): FrameMap {
    const left = new BigInt64Array(to - from);
    const right = new BigInt64Array(to - from);
    const fraction = new Float32Array(to - from);
    const last = source.end - source.start - 1;
    for (let frame = from; frame < to; frame++) {
      const begin = this.#starts[frame] ?? 0;
      const width = (this.#starts[frame + 1] ?? begin + this.#pace) - begin;
      const place = Math.min(Math.max(0, begin + width / 2 - 0.5 - source.start), last);
      const below = Math.floor(place);
      left[frame - from] = BigInt(below);
      right[frame - from] = BigInt(Math.min(below + 1, last));
      fraction[frame - from] = place - below;
    }
    return { left, right, fraction };
  }

  /** The z that has been used, and behind it that of `computed`, into which the end of the old one fades. */
  #faded(computed: Frames, start: number): Frames {
    const old = this.#z;
    const from = Math.min(old.start, start);
    const { interChannels } = this.#decoder.spec;
    const width = computed.end - from;
    const data = new Float32Array(interChannels * width);
    const fadeEnd = Math.min(old.end, start + FADE_FRAMES);
    for (let channel = 0; channel < interChannels; channel++) {
      const oldRow = channel * (old.end - old.start) - old.start;
      const newRow = channel * (computed.end - computed.start) - computed.start;
      const row = channel * width - from;
      for (let frame = from; frame < start; frame++) data[row + frame] = old.data[oldRow + frame]!;
      for (let frame = start; frame < computed.end; frame++) {
        const fresh = computed.data[newRow + frame]!;
        const weight = frame < fadeEnd ? (frame - start + 1) / (FADE_FRAMES + 1) : 1;
        data[row + frame] = weight === 1 ? fresh : fresh * weight + old.data[oldRow + frame]! * (1 - weight);
      }
    }
    return { start: from, end: computed.end, data };
  }

  #cut(frames: Frames, start: number, end: number): Frames {
    const { interChannels } = this.#decoder.spec;
    const from = Math.max(start, frames.start);
    const data = new Float32Array(interChannels * (end - from));
    for (let channel = 0; channel < interChannels; channel++) {
      const row = channel * (frames.end - frames.start) - frames.start;
      data.set(frames.data.subarray(row + from, row + end), channel * (end - from));
    }
    return { start: from, end, data };
  }
}

/** Frames [start, end) of a sentence, (channels, frames) row-major. */
interface Frames {
  readonly start: number;
  readonly end: number;
  readonly data: Float32Array;
}
