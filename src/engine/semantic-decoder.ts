import assert from 'node:assert';
import { AppError } from '../errors.js';
import type { Text2SemanticSettings } from '../models/text2semantic.js';
import { type BoundRun, type Session, type Tensor, tensor, zeros } from './onnxruntime.js';
import { exponentialAt, RANDOM_STREAM, type RandomKey } from './random.js';
import { argMax, createSampler, type Sampler, type SamplingParameters, TokenHistory } from './sampler.js';

export interface SemanticDecoderOptions {
  /** Sentences decoded side by side; 8 by default, beyond which a step takes nearly as much longer as it does more. */
  readonly rows?: number;
  /**
   * Phonemes, prompt and new tokens that a row can hold; 2,304 by default: 500 phonemes, a prompt of 10 s and upstream's
   * 1,500 tokens. Memory is reserved for all of it, but occupied only where rows have been.
   */
  readonly maxLength?: number;
  /** Sees the logits of each row before anything is done to them, and with a debug graph what they come from. */
  readonly observer?: (row: number, logits: Float32Array, hidden: Float32Array | null) => void;
}

export interface RowRequest {
  /** The prompt's phonemes, then the sentence's. */
  readonly phonemeIds: ArrayLike<number>;
  /** (phonemes, bertWidth) row-major; null where no phoneme has any. */
  readonly bertFeatures: Float32Array | null;
  /** Semantic tokens of the reference recording; null without one. */
  readonly promptSemantic: ArrayLike<number> | null;
  readonly sampling: SamplingParameters;
  /** Draws depend on nothing but these two and the step, so a row's tokens do not depend on its neighbours. */
  readonly seed: number;
  readonly sentenceKey: number;
  /** Most tokens of the sentence; the model's own limit by default. */
  readonly maxNewTokens?: number;
}

/** What one step did for one row. */
export interface RowEvent {
  readonly row: number;
  /** The new token; null when the sentence ended instead. */
  readonly token: number | null;
  /**
   * Why the row is done, and its slot free: `end`, the model said so; `limit`, it made one token more than allowed, as
   * upstream's loop does before it stops. That token is given too: batched inference upstream drops it, sequential
   * inference keeps it and drops the first one.
   */
  readonly finished: 'end' | 'limit' | null;
}

/** Upstream's loops end after 1,500 steps whatever was asked for. */
const MAX_NEW_TOKENS = 1499;

/** Steps in which the end token cannot be drawn (0.4 s of speech). */
const STEPS_BEFORE_END = 11;

/**
 * Decodes sentences to semantic tokens, several side by side: a row joins by its prefill and leaves at any step, and a
 * step is one run of the network for all rows, whatever their lengths. Rows lie at the front of one preallocated
 * key/value cache, which the network writes in place. Synchronous; belongs to one thread.
 *
 * upstream: AR/models/t2s_model.py Text2SemanticDecoder.infer_panel_naive, infer_panel_batch_infer
 */
export class SemanticDecoder {
  readonly settings: Text2SemanticSettings;
  readonly capacity: number;
  readonly maxLength: number;
  readonly #session: Session;
  readonly #observer: SemanticDecoderOptions['observer'];
  readonly #sampler: Sampler;
  /** Cached keys and values by name (`k.0`, `v.0`, …): (capacity, heads, maxLength, headWidth). */
  readonly #cache: ReadonlyMap<string, Float32Array>;
  readonly #cacheDims: readonly [number, number, number];
  /** Occupied slots 0 … size − 1. */
  readonly #rows: Row[] = [];
  /** One prepared run for each number of rows, over the same memory. */
  readonly #steps = new Map<number, BoundRun>();
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #seqlens: Int32Array;
  readonly #total = new Int32Array(1);
  readonly #logits: Float32Array;
  readonly #hidden: Float32Array | null;
  #nextRow = 1;
  #closed = false;

  /** Takes over a session of the graph that `buildText2Semantic` makes; `close` closes it. */
  constructor(session: Session, settings: Text2SemanticSettings, options: SemanticDecoderOptions = {}) {
    this.settings = settings;
    this.capacity = options.rows ?? 8;
    this.maxLength = Math.min(options.maxLength ?? 2304, settings.positions);
    this.#session = session;
    this.#observer = options.observer;
    this.#sampler = createSampler(settings.vocabulary);
    this.#cacheDims = [settings.heads, this.maxLength, settings.headWidth];
    const size = this.capacity * this.#slotSize;
    // Zeroed pages that the system hands out when they are first written.
    this.#cache = new Map(layerNames(settings.layers).map((name) => [name, new Float32Array(size)]));
    this.#tokens = new Int32Array(this.capacity);
    this.#positions = new Int32Array(this.capacity);
    this.#seqlens = new Int32Array(this.capacity);
    this.#logits = new Float32Array(this.capacity * settings.vocabulary);
    const hasHidden = session.outputs.some((info) => info.name === 'hidden');
    this.#hidden = hasHidden ? new Float32Array(this.capacity * settings.width) : null;
  }

  /** Rows being decoded. */
  get size(): number {
    return this.#rows.length;
  }

  /**
   * Prefills a free slot with a sentence and draws its first token. The event's `row` names the row from then on.
   * Throws `ENGINE_OVERLOADED` when all slots are taken, `TEXT_EMPTY` and `TEXT_TOO_LONG` for the phonemes,
   * `MODEL_INVALID` for ids or features that the network has no room for.
   */
  addRow(request: RowRequest): RowEvent {
    assert(!this.#closed, 'the decoder is closed');
    if (this.#rows.length >= this.capacity) {
      throw new AppError('ENGINE_OVERLOADED', `all ${this.capacity} rows of the decoder are taken; try again later`);
    }
    this.#checkRequest(request);
    const slot = this.#rows.length;
    const prompt = Int32Array.from(request.promptSemantic ?? []);
    const length = request.phonemeIds.length + prompt.length;
    this.#prefill(slot, request, prompt);

    const history = new TokenHistory(this.settings.vocabulary);
    for (const token of prompt) history.add(token);
    const row: Row = {
      id: this.#nextRow++,
      key: { seed: request.seed, sentence: request.sentenceKey },
      sampling: request.sampling,
      history,
      maxNewTokens: Math.min(
        request.maxNewTokens ?? this.settings.earlyStopTokens,
        MAX_NEW_TOKENS,
        this.maxLength - length - 1,
        this.settings.positions - prompt.length - 1,
      ),
      promptLength: prompt.length,
      length,
      lastToken: 0,
      newTokens: 0,
    };
    this.#rows.push(row);
    const event = this.#draw(row, slot);
    if (event.finished) this.removeRow(row.id);
    return event;
  }

  /** Runs the network once and draws a token for every row; rows that finish leave. No rows, no events. */
  step(): RowEvent[] {
    assert(!this.#closed, 'the decoder is closed');
    const count = this.#rows.length;
    if (count === 0) return [];
    let longest = 0;
    for (const [slot, row] of this.#rows.entries()) {
      this.#tokens[slot] = row.lastToken;
      this.#positions[slot] = row.promptLength + row.newTokens - 1;
      this.#seqlens[slot] = row.length; // its length after this step, less one
      row.length += 1;
      longest = Math.max(longest, row.length);
    }
    this.#total[0] = longest;
    this.#stepRun(count).run();
    const events = this.#rows.map((row, slot) => this.#draw(row, slot));
    for (const event of events) if (event.finished) this.removeRow(event.row);
    return events;
  }

  /** Frees a row's slot at once; a row that has left already is no error. The last row moves into the slot. */
  removeRow(id: number): void {
    const slot = this.#rows.findIndex((row) => row.id === id);
    if (slot < 0) return;
    const last = this.#rows.pop();
    if (last === undefined || slot === this.#rows.length) return;
    this.#moveSlot(this.#rows.length, slot, last.length);
    this.#rows[slot] = last;
  }

  /** A layer's cached keys and values of a row, (positions, width) each; for tests and inspection. */
  readCache(id: number, layer: number): { keys: Float32Array; values: Float32Array } {
    const slot = this.#rows.findIndex((row) => row.id === id);
    const row = this.#rows[slot];
    if (row === undefined) throw new AppError('INTERNAL', `the decoder has no row ${id}`);
    return { keys: this.#readSlot(`k.${layer}`, slot, row), values: this.#readSlot(`v.${layer}`, slot, row) };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rows.length = 0;
    this.#session.close();
  }

  get #slotSize(): number {
    const [heads, length, width] = this.#cacheDims;
    return heads * length * width;
  }

  #checkRequest(request: RowRequest): void {
    const { settings } = this;
    const phonemes = request.phonemeIds.length;
    const prompt = request.promptSemantic?.length ?? 0;
    if (phonemes === 0) throw new AppError('TEXT_EMPTY', 'a sentence without phonemes cannot be spoken');
    // At least a second of speech must fit behind what is given.
    const room = this.maxLength - 25;
    if (phonemes + prompt > room || phonemes > settings.positions) {
      throw new AppError(
        'TEXT_TOO_LONG',
        `a sentence of ${phonemes} phonemes (its prompt's included) and ${prompt} prompt tokens does not fit into ` +
          `${Math.min(room, settings.positions)} positions; split the text, or use a shorter reference recording`,
      );
    }
    checkIds('phoneme', request.phonemeIds, settings.phonemeCount);
    checkIds('prompt token', request.promptSemantic ?? [], settings.vocabulary);
    const features = request.bertFeatures?.length ?? phonemes * settings.bertWidth;
    if (features !== phonemes * settings.bertWidth) {
      throw new AppError(
        'MODEL_INVALID',
        `${features} BERT feature values for ${phonemes} phonemes; expected ${settings.bertWidth} for each`,
      );
    }
  }

  #prefill(slot: number, request: RowRequest, prompt: Int32Array): void {
    const phonemes = Int32Array.from(request.phonemeIds);
    const count = phonemes.length;
    const length = count + prompt.length;
    const bertDims = [1, count, this.settings.bertWidth];
    const inputs: Record<string, Tensor> = {
      phonemes: tensor('int32', [1, count], phonemes),
      bert: request.bertFeatures ? tensor('float32', bertDims, request.bertFeatures) : zeros('float32', bertDims),
      tokens: tensor('int32', [1, prompt.length], prompt),
      token_positions: tensor(
        'int32',
        [1, prompt.length],
        prompt.map((_, index) => index),
      ),
      visible: tensor('int32', [length], visiblePositions(count, prompt.length)),
      seqlens: tensor('int32', [1], Int32Array.of(length - 1)),
      total: tensor('int32', [1], Int32Array.of(length)),
    };
    const outputs = this.#bindCache(inputs, slot, 1);
    Object.assign(outputs, this.#headOutputs(slot, 1));
    this.#session.run(inputs, outputs, []);
  }

  #stepRun(count: number): BoundRun {
    const known = this.#steps.get(count);
    if (known) return known;
    const inputs: Record<string, Tensor> = {
      phonemes: zeros('int32', [count, 0]),
      bert: zeros('float32', [count, 0, this.settings.bertWidth]),
      tokens: tensor('int32', [count, 1], this.#tokens.subarray(0, count)),
      token_positions: tensor('int32', [count, 1], this.#positions.subarray(0, count)),
      visible: tensor('int32', [1], this.#total),
      seqlens: tensor('int32', [count], this.#seqlens.subarray(0, count)),
      total: tensor('int32', [1], this.#total),
    };
    const outputs = this.#bindCache(inputs, 0, count);
    Object.assign(outputs, this.#headOutputs(0, count));
    const run = this.#session.prepare({ inputs, outputs });
    this.#steps.set(count, run);
    return run;
  }

  /** Binds slots of the cache as inputs, and returns them as the outputs that they are too. */
  #bindCache(inputs: Record<string, Tensor>, slot: number, count: number): Record<string, Tensor> {
    const outputs: Record<string, Tensor> = {};
    for (const [name, values] of this.#cache) {
      const view = values.subarray(slot * this.#slotSize, (slot + count) * this.#slotSize);
      outputs[name] = inputs[`past_${name}`] = tensor('float32', [count, ...this.#cacheDims], view);
    }
    return outputs;
  }

  #headOutputs(slot: number, count: number): Record<string, Tensor> {
    const { vocabulary, width } = this.settings;
    const view = (values: Float32Array, columns: number) =>
      tensor('float32', [count, columns], values.subarray(slot * columns, (slot + count) * columns));
    return {
      logits: view(this.#logits, vocabulary),
      ...(this.#hidden && { hidden: view(this.#hidden, width) }),
    };
  }

  /** Draws a row's next token from its logits, and says whether that ends the row. */
  #draw(row: Row, slot: number): RowEvent {
    const { vocabulary, width, endToken } = this.settings;
    const all = this.#logits.subarray(slot * vocabulary, (slot + 1) * vocabulary);
    const hidden = this.#hidden?.subarray(slot * width, (slot + 1) * width) ?? null;
    this.#observer?.(row.id, all, hidden);
    const step = row.newTokens;
    const logits = step < STEPS_BEFORE_END ? all.subarray(0, endToken) : all;
    const token = this.#sampler.sample(logits, row.history, row.sampling, (candidate) =>
      exponentialAt(row.key, step, candidate, RANDOM_STREAM.tokens),
    );
    // Upstream looks at the logits after the penalty was written into them.
    if (token === endToken || argMax(logits) === endToken) return { row: row.id, token: null, finished: 'end' };
    row.history.add(token);
    row.lastToken = token;
    row.newTokens += 1;
    return { row: row.id, token, finished: row.newTokens > row.maxNewTokens ? 'limit' : null };
  }

  #moveSlot(from: number, to: number, length: number): void {
    const [heads, maxLength, width] = this.#cacheDims;
    const stride = maxLength * width;
    for (const values of this.#cache.values()) {
      for (let head = 0; head < heads; head++) {
        const source = (from * heads + head) * stride;
        values.copyWithin((to * heads + head) * stride, source, source + length * width);
      }
    }
  }

  #readSlot(name: string, slot: number, row: Row): Float32Array {
    const [heads, maxLength, width] = this.#cacheDims;
    const values = this.#cache.get(name);
    if (values === undefined) throw new AppError('INTERNAL', `the cache has no ${name}`);
    const result = new Float32Array(row.length * heads * width);
    for (let head = 0; head < heads; head++) {
      for (let position = 0; position < row.length; position++) {
        const source = ((slot * heads + head) * maxLength + position) * width;
        result.set(values.subarray(source, source + width), (position * heads + head) * width);
      }
    }
    return result;
  }
}

/**
 * How many positions each position of a prefill sees: phonemes all phonemes and no token, tokens all phonemes and the
 * tokens up to themselves.
 */
export function visiblePositions(phonemes: number, tokens: number): Int32Array {
  return Int32Array.from({ length: phonemes + tokens }, (_, index) => Math.max(phonemes, index + 1));
}

interface Row {
  readonly id: number;
  readonly key: RandomKey;
  readonly sampling: SamplingParameters;
  readonly history: TokenHistory;
  readonly maxNewTokens: number;
  readonly promptLength: number;
  /** Positions in the cache. */
  length: number;
  lastToken: number;
  newTokens: number;
}

function layerNames(layers: number): string[] {
  return Array.from({ length: layers }, (_, layer) => [`k.${layer}`, `v.${layer}`]).flat();
}

function checkIds(kind: string, ids: ArrayLike<number>, count: number): void {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] ?? -1;
    if (!(Number.isInteger(id) && id >= 0 && id < count)) {
      throw new AppError('MODEL_INVALID', `${kind} ${id} is outside the model's table of ${count}`);
    }
  }
}
