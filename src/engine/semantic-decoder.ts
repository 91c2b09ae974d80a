import assert from 'node:assert';
import { AppError } from '../errors.js';
import type { CacheSteps, Text2SemanticSettings } from '../models/text2semantic.js';
import type { Text2SemanticAdapter } from '../models/text2semantic-adapter.js';
import { AdapterBatch } from './adapter-batch.js';
import type { StepKernel } from './kernels/step-kernel.js';
import { type CacheStepsByName, KeyValueCache } from './key-value-cache.js';
import { type BoundRun, type Session, type Tensor, tensor, zeros } from './onnxruntime.js';
import { exponentialAt, RANDOM_STREAM, type RandomKey } from './random.js';
import { argMax, createSampler, type Sampler, type SamplingParameters, TokenHistory } from './sampler.js';

export interface SemanticDecoderOptions {
  /** Most sentences decoded side by side; 8 by default. The cache grows to so many when they come. */
  readonly rows?: number;
  /**
   * Phonemes, prompt and new tokens that a row can hold; 2,304 by default: 500 phonemes, a prompt of 10 s and upstream's
   * 1,500 tokens. Memory is reserved for all of it, but occupied only where rows have been.
   */
  readonly maxLength?: number;
  /** Sees the logits of each row before anything is done to them, and with a debug graph what they come from. */
  readonly observer?: (row: number, logits: Float32Array, hidden: Float32Array | null) => void;
}

/** Sessions of the graphs that `buildText2Semantic` makes: one for both parts, or one for each; a step may be our own kernel. */
export interface Text2SemanticSessions {
  readonly prefill: Session;
  readonly step: Session | ((options: { readonly rows: number; readonly maxLength: number }) => StepKernel);
  /** What one step of the int8 cache that `step` reads stands for, by layer; absent where the cache is fp32. */
  readonly cacheSteps?: readonly CacheSteps[];
  /** Opens the graphs that take adapters, when the first row has one; absent: no row may have one. */
  readonly adapted?: () => AdaptedSessions;
}

interface AdaptedSessions {
  readonly prefill: Session;
  /** Absent where a kernel computes steps. */
  readonly step?: Session;
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
  /** Changes the network for this row alone. */
  readonly adapterWeights?: Text2SemanticAdapter | null;
  /** Tokens to take instead of drawing: shows what a network would say after each of them. */
  readonly forcedTokens?: ArrayLike<number>;
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
 * Positions of one run of a prefill: what rows that are being listened to wait for at most. All phonemes belong to the
 * first run, since they see one another. The cut depends on the request alone, so that its tokens do not depend on others.
 */
const PREFILL_POSITIONS = 96;

/** The cache grows by so many rows. */
const ROWS_AT_A_TIME = 8;
/** A row, one that keeps it company, and a sentence being prefilled. */
const LEAST_SLOTS = 3;

/**
 * Decodes sentences to semantic tokens, several side by side: a row joins by its prefill and leaves at any step, and a
 * step is one run of the network for all rows, whatever their lengths. Rows lie at the front of one key/value cache, which
 * the network writes in place. Synchronous; belongs to one thread.
 *
 * upstream: AR/models/t2s_model.py Text2SemanticDecoder.infer_panel_naive, infer_panel_batch_infer
 */
export class SemanticDecoder {
  readonly settings: Text2SemanticSettings;
  readonly capacity: number;
  readonly maxLength: number;
  readonly #sessions: Text2SemanticSessions;
  #observer: SemanticDecoderOptions['observer'] | null;
  readonly #sampler: Sampler;
  readonly #cache: KeyValueCache;
  /** Where prefill writes when the cache is int8, before it is quantised; null where it writes the cache itself. */
  readonly #scratch: KeyValueCache | null;
  readonly #cacheSteps: CacheStepsByName | null;
  /** What computes a step; null where a session does. */
  readonly #kernel: StepKernel | null;
  readonly #stepSession: Session | null;
  /**
   * Fewest rows of a run of a session. Kernels for 4 and 8 bits may compute a lone row in another order than two; the last bits then
   * differ, and quantising activations and cache makes steps of it: the study saw 0.9 % in the logits. A second row that
   * nobody asked for costs 10 % of a lone row's step.
   */
  readonly #fewestRows: 1 | 2;
  #adapted: AdaptedSessions | null = null;
  /** The adapters of the rows, and runs with them; they outlive the rows until another adapter joins. */
  #adapters: {
    readonly batch: AdapterBatch;
    readonly masks: Float32Array;
    readonly runs: Map<number, BoundRun>;
  } | null = null;
  /** Occupied slots 0 … size − 1. */
  readonly #rows: Row[] = [];
  #prefilling: Prefill | null = null;
  /** One prepared run for each number of rows, over the same memory. */
  readonly #steps = new Map<number, BoundRun>();
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #seqlens: Int32Array;
  readonly #total = new Int32Array(1);
  /** (rows, logitsStride) */
  readonly #logits: Float32Array;
  readonly #logitsStride: number;
  readonly #hidden: Float32Array | null;
  /** What a prefill writes, until its row has a slot. */
  readonly #prefillLogits: Float32Array;
  readonly #prefillHidden: Float32Array | null;
  #nextRow = 1;
  #closed = false;

  /** Takes over sessions of the graphs that `buildText2Semantic` makes; `close` closes them. */
  constructor(
    sessions: Session | Text2SemanticSessions,
    settings: Text2SemanticSettings,
    options: SemanticDecoderOptions = {},
  ) {
    this.settings = settings;
    this.capacity = options.rows ?? 8;
    this.maxLength = Math.min(options.maxLength ?? 2304, settings.positions);
    this.#sessions = 'step' in sessions ? sessions : { prefill: sessions, step: sessions };
    this.#observer = options.observer;
    this.#sampler = createSampler(settings.vocabulary);
    const { step, cacheSteps } = this.#sessions;
    this.#cacheSteps = cacheSteps ? byName(cacheSteps) : null;
    this.#scratch = cacheSteps ? new KeyValueCache(settings, 'float32', 1, this.maxLength) : null;
    const { vocabulary, width } = settings;
    const hasHidden = typeof step !== 'function' && step.outputs.some((info) => info.name === 'hidden');
    this.#prefillLogits = new Float32Array(vocabulary);
    this.#prefillHidden = hasHidden ? new Float32Array(width) : null;
    if (typeof step === 'function') {
      const rows = this.capacity;
      const kernel = step({ rows, maxLength: this.maxLength });
      this.#kernel = kernel;
      this.#stepSession = null;
      this.#fewestRows = 1;
      this.#cache = new KeyValueCache(settings, 'int8', rows, this.maxLength, kernel);
      this.#tokens = kernel.tokens;
      this.#positions = kernel.positions;
      this.#seqlens = kernel.lengths;
      this.#logits = kernel.logits;
      this.#logitsStride = kernel.logitsStride;
      this.#hidden = null;
      return;
    }
    this.#kernel = null;
    this.#stepSession = step;
    this.#fewestRows = cacheSteps ? 2 : 1;
    const slots = Math.max(LEAST_SLOTS, Math.min(this.capacity, ROWS_AT_A_TIME));
    this.#cache = new KeyValueCache(settings, cacheSteps ? 'int8' : 'float32', slots, this.maxLength);
    const most = Math.max(this.capacity, LEAST_SLOTS);
    this.#tokens = new Int32Array(most);
    this.#positions = new Int32Array(most);
    this.#seqlens = new Int32Array(most);
    this.#logitsStride = vocabulary;
    this.#logits = new Float32Array(most * vocabulary);
    this.#hidden = hasHidden ? new Float32Array(most * width) : null;
  }

  /** Rows being decoded. */
  get size(): number {
    return this.#rows.length;
  }

  /** Whether a slot is free and no other sentence is being prefilled. */
  get hasRoom(): boolean {
    return this.#prefilling === null && this.#rows.length < this.capacity;
  }

  /** Replaces the observer given at first; null: none. */
  observe(observer: SemanticDecoderOptions['observer'] | null): void {
    this.#observer = observer;
  }

  /**
   * Prefills a free slot with a sentence and draws its first token. The event's `row` names the row from then on.
   * Throws `ENGINE_OVERLOADED` when all slots are taken, `TEXT_EMPTY` and `TEXT_TOO_LONG` for the phonemes,
   * `MODEL_INVALID` for ids or features that the network has no room for.
   */
  addRow(request: RowRequest): RowEvent {
    this.beginRow(request);
    for (;;) {
      const event = this.prefill();
      if (event) return event;
    }
  }

  /** Like {@link addRow}, in bounded pieces: {@link prefill} runs them, and steps of the other rows may come between. */
  beginRow(request: RowRequest): void {
    assert(!this.#closed, 'the decoder is closed');
    assert(this.#prefilling === null, 'another sentence is being prefilled');
    if (this.#rows.length >= this.capacity) {
      throw new AppError('ENGINE_OVERLOADED', `all ${this.capacity} rows of the decoder are taken; try again later`);
    }
    this.#checkRequest(request);
    // In a session's runs the slot beside a lone row belongs to the one that keeps it company.
    const slot = this.#rows.length === 1 && !this.#scratch ? 2 : this.#rows.length;
    if (slot >= this.#cache.slots) this.#grow();
    const prompt = Int32Array.from(request.promptSemantic ?? []);
    this.#prefilling = { request, prompt, slot, done: 0 };
  }

  /** Runs the next piece of the sentence being prefilled; its first token after the last piece, else null. */
  prefill(): RowEvent | null {
    const prefill = this.#prefilling;
    assert(prefill, 'no sentence is being prefilled');
    const { request, prompt } = prefill;
    const length = request.phonemeIds.length + prompt.length;
    try {
      this.#runPrefill(prefill);
    } catch (error) {
      this.#prefilling = null;
      throw error;
    }
    if (prefill.done < length) return null;
    this.#prefilling = null;
    return this.#join(prefill, length);
  }

  /** Gives up the sentence being prefilled, if any. */
  cancelPrefill(): void {
    this.#prefilling = null;
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
    if (this.#kernel) this.#kernel.run(this.#rows.map((row) => row.adapter));
    else this.#runSession(count);
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
    this.#cache.move(this.#rows.length, slot, last.length);
    this.#rows[slot] = last;
  }

  /** A layer's cached keys and values of a row from a position on, (positions, width) each; for tests and calibration. */
  readCache(id: number, layer: number, from = 0): { keys: Float32Array; values: Float32Array } {
    const slot = this.#rows.findIndex((row) => row.id === id);
    const row = this.#rows[slot];
    if (row === undefined) throw new AppError('INTERNAL', `the decoder has no row ${id}`);
    return {
      keys: this.#cache.read(`k.${layer}`, slot, from, row.length),
      values: this.#cache.read(`v.${layer}`, slot, from, row.length),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rows.length = 0;
    this.#kernel?.close();
    const { prefill } = this.#sessions;
    for (const session of new Set([prefill, this.#stepSession, this.#adapted?.prefill, this.#adapted?.step])) {
      session?.close();
    }
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

  #grow(): void {
    for (const run of this.#steps.values()) run.close();
    this.#steps.clear();
    this.#dropAdapters();
    const slots = Math.min(this.capacity, this.#cache.slots + ROWS_AT_A_TIME);
    this.#cache.grow(
      slots,
      this.#rows.map((row) => row.length),
    );
  }

  #runPrefill(prefill: Prefill): void {
    const { request, prompt, done } = prefill;
    const phonemes = done === 0 ? Int32Array.from(request.phonemeIds) : new Int32Array(0);
    const firstToken = Math.max(0, done - request.phonemeIds.length);
    const room = Math.max(0, PREFILL_POSITIONS - phonemes.length);
    const tokens = prompt.subarray(firstToken, firstToken + room);
    const end = done + phonemes.length + tokens.length;
    const bertDims = [1, phonemes.length, this.settings.bertWidth];
    const hasFeatures = request.bertFeatures && phonemes.length > 0;
    const inputs: Record<string, Tensor> = {
      phonemes: tensor('int32', [1, phonemes.length], phonemes),
      bert: hasFeatures ? tensor('float32', bertDims, request.bertFeatures) : zeros('float32', bertDims),
      tokens: tensor('int32', [1, tokens.length], tokens.slice()),
      token_positions: tensor(
        'int32',
        [1, tokens.length],
        tokens.map((_, index) => firstToken + index),
      ),
      visible: tensor(
        'int32',
        [end - done],
        visiblePositions(request.phonemeIds.length, prompt.length).slice(done, end),
      ),
      seqlens: tensor('int32', [1], Int32Array.of(end - 1)),
      total: tensor('int32', [1], Int32Array.of(end)),
    };
    const outputs = this.#scratch ? this.#scratch.bind(inputs, 0, 1) : this.#cache.bind(inputs, prefill.slot, 1);
    Object.assign(outputs, this.#headOutputs(this.#prefillLogits, this.#prefillHidden, 1));
    const adapter = request.adapterWeights ?? null;
    if (adapter) {
      const batch = new AdapterBatch([adapter], this.settings);
      const ranks = tensor('float32', [1, adapter.rank], new Float32Array(adapter.rank).fill(1));
      this.#openAdapted().prefill.run({ ...inputs, ...batch.inputs, adapter_ranks: ranks }, outputs, []);
    } else this.#sessions.prefill.run(inputs, outputs, []);
    prefill.done = end;
  }

  /** Makes a row of a sentence that is prefilled, in the first free slot: others may have left meanwhile. */
  #join({ request, prompt, slot: prefilled }: Prefill, length: number): RowEvent {
    const slot = this.#rows.length;
    if (this.#scratch && this.#cacheSteps) {
      this.#cache.quantizeFrom(this.#scratch, slot, 0, length, this.#cacheSteps);
    } else if (slot !== prefilled) this.#cache.move(prefilled, slot, length);
    this.#logits.set(this.#prefillLogits, slot * this.#logitsStride);
    if (this.#prefillHidden) this.#hidden?.set(this.#prefillHidden, slot * this.settings.width);
    const history = new TokenHistory(this.settings.vocabulary);
    for (const token of prompt) history.add(token);
    const row: Row = {
      id: this.#nextRow++,
      key: { seed: request.seed, sentence: request.sentenceKey },
      sampling: request.sampling,
      forced: request.forcedTokens ?? null,
      adapter: request.adapterWeights ?? null,
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

  #runSession(count: number): void {
    // Products with an adapter's matrices, which are not packed, have another kernel for a lone row as well.
    const adapted = this.#rows.some((row) => row.adapter !== null);
    const run = Math.max(count, adapted ? 2 : this.#fewestRows);
    if (run > count) this.#seqlens[count] = 0; // a row that sees only itself, and that nobody reads
    (adapted ? this.#adaptedRun(run) : this.#stepRun(run)).run();
  }

  #stepRun(count: number): BoundRun {
    const known = this.#steps.get(count);
    if (known) return known;
    const run = this.#prepareStep(this.#stepSession, count, {});
    this.#steps.set(count, run);
    return run;
  }

  /** The run of a step in which rows have adapters, with their masks written. */
  #adaptedRun(count: number): BoundRun {
    const rows = this.#rows;
    const wanted = new Set(rows.flatMap((row) => row.adapter ?? []));
    if (!this.#adapters || [...wanted].some((adapter) => !this.#adapters?.batch.holds(adapter))) {
      this.#dropAdapters();
      const batch = new AdapterBatch([...wanted], this.settings);
      const masks = new Float32Array(Math.max(this.capacity, LEAST_SLOTS) * batch.ranks);
      this.#adapters = { batch, masks, runs: new Map() };
    }
    const { batch, masks, runs } = this.#adapters;
    for (let slot = 0; slot < count; slot++) {
      batch.mask(rows[slot]?.adapter ?? null, masks.subarray(slot * batch.ranks, (slot + 1) * batch.ranks));
    }
    const known = runs.get(count);
    if (known) return known;
    const ranks = tensor('float32', [count, batch.ranks], masks.subarray(0, count * batch.ranks));
    const run = this.#prepareStep(this.#openAdapted().step, count, { ...batch.inputs, adapter_ranks: ranks });
    runs.set(count, run);
    return run;
  }

  #openAdapted(): AdaptedSessions {
    this.#adapted ??= this.#sessions.adapted?.() ?? null;
    if (this.#adapted) return this.#adapted;
    throw new AppError('MODEL_INVALID', 'this model was compiled without adapters; import it again');
  }

  #dropAdapters(): void {
    for (const run of this.#adapters?.runs.values() ?? []) run.close();
    this.#adapters = null;
  }

  #prepareStep(session: Session | undefined | null, count: number, more: Readonly<Record<string, Tensor>>): BoundRun {
    assert(session, 'the model has no graph of a step');
    const inputs: Record<string, Tensor> = {
      tokens: tensor('int32', [count, 1], this.#tokens.subarray(0, count)),
      token_positions: tensor('int32', [count, 1], this.#positions.subarray(0, count)),
      seqlens: tensor('int32', [count], this.#seqlens.subarray(0, count)),
      total: tensor('int32', [1], this.#total),
    };
    Object.assign(inputs, more);
    if (session.inputs.some((info) => info.name === 'phonemes')) {
      inputs['phonemes'] = zeros('int32', [count, 0]);
      inputs['bert'] = zeros('float32', [count, 0, this.settings.bertWidth]);
      inputs['visible'] = tensor('int32', [1], this.#total);
    }
    const outputs = this.#cache.bind(inputs, 0, count);
    Object.assign(outputs, this.#headOutputs(this.#logits, this.#hidden, count));
    return session.prepare({ inputs, outputs });
  }

  #headOutputs(logits: Float32Array, hidden: Float32Array | null, count: number): Record<string, Tensor> {
    const { vocabulary, width } = this.settings;
    return {
      logits: tensor('float32', [count, vocabulary], logits.subarray(0, count * vocabulary)),
      ...(hidden && { hidden: tensor('float32', [count, width], hidden.subarray(0, count * width)) }),
    };
  }

  /** Draws a row's next token from its logits, and says whether that ends the row. */
  #draw(row: Row, slot: number): RowEvent {
    const { vocabulary, width, endToken } = this.settings;
    const all = this.#logits.subarray(slot * this.#logitsStride, slot * this.#logitsStride + vocabulary);
    const hidden = this.#hidden?.subarray(slot * width, (slot + 1) * width) ?? null;
    this.#observer?.(row.id, all, hidden);
    const step = row.newTokens;
    if (row.forced) {
      const token = row.forced[step];
      if (token === undefined) return { row: row.id, token: null, finished: 'end' };
      return this.#take(row, token);
    }
    const logits = step < STEPS_BEFORE_END ? all.subarray(0, endToken) : all;
    const token = this.#sampler.sample(logits, row.history, row.sampling, (candidate) =>
      exponentialAt(row.key, step, candidate, RANDOM_STREAM.tokens),
    );
    // Upstream looks at the logits after the penalty was written into them.
    if (token === endToken || argMax(logits) === endToken) return { row: row.id, token: null, finished: 'end' };
    return this.#take(row, token);
  }

  #take(row: Row, token: number): RowEvent {
    row.history.add(token);
    row.lastToken = token;
    row.newTokens += 1;
    return { row: row.id, token, finished: row.newTokens > row.maxNewTokens ? 'limit' : null };
  }
}

/** A sentence on its way into a slot. */
interface Prefill {
  readonly request: RowRequest;
  readonly prompt: Int32Array;
  readonly slot: number;
  /** Positions done. */
  done: number;
}

function byName(steps: readonly CacheSteps[]): CacheStepsByName {
  return new Map(
    steps.flatMap(({ keys, values }, layer) => [[`k.${layer}`, keys] as const, [`v.${layer}`, values] as const]),
  );
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
  readonly forced: ArrayLike<number> | null;
  readonly adapter: Text2SemanticAdapter | null;
  readonly history: TokenHistory;
  readonly maxNewTokens: number;
  readonly promptLength: number;
  /** Positions in the cache. */
  length: number;
  lastToken: number;
  newTokens: number;
}

function checkIds(kind: string, ids: ArrayLike<number>, count: number): void {
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] ?? -1;
    if (!(Number.isInteger(id) && id >= 0 && id < count)) {
      throw new AppError('MODEL_INVALID', `${kind} ${id} is outside the model's table of ${count}`);
    }
  }
}
