import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { openRuntime, output, type Tensor, tensor, zeros } from '../../src/engine/onnxruntime.js';
import { createSampler, type SamplingParameters, TokenHistory } from '../../src/engine/sampler.js';
import { type RowRequest, SemanticDecoder, visiblePositions } from '../../src/engine/semantic-decoder.js';
import {
  buildText2Semantic,
  readText2SemanticSettings,
  type Text2SemanticSettings,
} from '../../src/models/text2semantic.js';
import { encodeModel } from '../../src/onnx/model-file.js';
import { type CaseRunner, type Comparison, compare } from './harness.js';
import type { CaseArray, CaseTensor, ManifestCase, ReferenceData } from './reference.js';
import { createTokenChunker } from './token-chunks.js';

/** Cases of `t2s/`: text-to-semantic prefill, steps, batches, chunks and sampling. */
export const runT2sCase: CaseRunner = async (testCase, reference) => {
  const tensors = reference.load(testCase);
  if (tensors.has('0.logits')) return compareSampling(testCase, tensors);
  const model = openModel(testCase, reference);
  try {
    if (tensors.has('chunk_0')) return compareChunks(testCase, tensors, model);
    const comparisons = compareDecoding(testCase, tensors, model);
    if (tensors.has('xy_dec')) comparisons.push(...comparePrefill(testCase, tensors, model));
    return comparisons;
  } finally {
    model.close();
  }
};

type Model = ReturnType<typeof openModel>;

/** The product's graph in a decoder, and a graph that also shows what is inside. */
function openModel(testCase: ManifestCase, reference: ReferenceData) {
  if (typeof testCase.checkpoint !== 'string') throw new Error('the case names no checkpoint file');
  const checkpoint = openCheckpoint(reference.path(testCase.checkpoint));
  try {
    const settings = readText2SemanticSettings(checkpoint);
    const session = (debug: boolean) =>
      openRuntime().createSession(encodeModel(buildText2Semantic(checkpoint, settings, { debug }), null));
    const debug = session(true);
    const steps: { row: number; logits: Float32Array; hidden: Float32Array | null }[] = [];
    const observer = (row: number, logits: Float32Array, hidden: Float32Array | null): void => {
      steps.push({ row, logits: logits.slice(), hidden: hidden?.slice() ?? null });
    };
    const maxLength = Math.min(2304, settings.positions);
    return {
      settings,
      debug,
      /** What each row's step computed, in order. */
      steps,
      production: new SemanticDecoder(session(false), settings, { maxLength }),
      inspected: new SemanticDecoder(session(true), settings, { maxLength, observer }),
      close(): void {
        this.production.close();
        this.inspected.close();
        debug.close();
      },
    };
  } finally {
    checkpoint.close();
  }
}

function sampling(params: ManifestCase['params']): SamplingParameters {
  return {
    topK: params['top_k'] ?? null,
    topP: params['top_p'] ?? null,
    temperature: params['temperature'],
    repetitionPenalty: params['repetition_penalty'],
  };
}

/** The rows of a case; phonemes and features are stored padded on the right. */
function requests(testCase: ManifestCase, tensors: ReadonlyMap<string, CaseTensor>): RowRequest[] {
  const phones = get(tensors, 'phones');
  const bert = get(tensors, 'bert');
  const prompt = tensors.get('prompt');
  const [rows = 0, longest = 0] = phones.shape;
  const [, bertWidth = 0] = bert.shape;
  return Array.from({ length: rows }, (_, row) => {
    const count = tensors.get('phones_len')?.data[row] ?? longest;
    const bertFeatures = new Float32Array(count * bertWidth);
    for (let position = 0; position < count; position++) {
      for (let channel = 0; channel < bertWidth; channel++) {
        bertFeatures[position * bertWidth + channel] = bert.data[(row * bertWidth + channel) * longest + position] ?? 0;
      }
    }
    return {
      phonemeIds: phones.data.subarray(row * longest, row * longest + count),
      bertFeatures,
      promptSemantic: prompt ? rowOf(prompt, row) : null,
      sampling: sampling(testCase.params),
      seed: 0,
      sentenceKey: row,
      maxNewTokens: testCase.params['early_stop_num'],
    };
  });
}

interface Decoded {
  readonly id: number;
  readonly tokens: number[];
  finished: 'end' | 'limit' | null;
}

/** Decodes all rows side by side until they are done. */
function decodeAll(decoder: SemanticDecoder, rows: readonly RowRequest[]): Decoded[] {
  const results = new Map<number, Decoded>();
  const take = (event: ReturnType<SemanticDecoder['addRow']>): void => {
    const result = results.get(event.row) ?? { id: event.row, tokens: [], finished: null };
    results.set(event.row, result);
    if (event.token !== null) result.tokens.push(event.token);
    result.finished = event.finished;
  };
  for (const row of rows) take(decoder.addRow(row));
  while (decoder.size > 0) for (const event of decoder.step()) take(event);
  return [...results.values()];
}

function compareDecoding(testCase: ManifestCase, tensors: ReadonlyMap<string, CaseTensor>, model: Model): Comparison[] {
  const rows = requests(testCase, tensors);
  const comparisons: Comparison[] = [];
  const batched = testCase.upstream.includes('batch_infer');
  const prompt = tensors.get('prompt');
  const out = get(tensors, 'out');
  const returned: readonly number[] = [testCase.params['returned_idx']].flat();

  for (const decoded of [decodeAll(model.production, rows), decodeAll(model.inspected, rows)]) {
    for (const [row, { tokens, finished }] of decoded.entries()) {
      // A batch gives back what came before the token that ended it; one sentence alone keeps a token beyond the limit.
      const kept = batched && finished === 'limit' ? tokens.slice(0, -1) : tokens;
      const sequence = [...(prompt ? rowOf(prompt, row) : []), ...kept];
      const expected = rowOf(out, row).subarray(0, tensors.get('out_len')?.data[row] ?? (out.shape[1] as number));
      comparisons.push(compare(testCase, `out[${row}]`, sequence, expected, 0));
      const index = prompt === undefined ? 0 : finished === 'limit' ? tokens.length - 1 : tokens.length;
      comparisons.push(compare(testCase, `returned_idx[${row}]`, [index], [returned[row] ?? -1], 0));
    }
  }
  if (tensors.has('step_logits')) comparisons.push(...compareSteps(testCase, tensors, model));
  return comparisons;
}

/** Logits, hidden states and tokens of every step of every row, as the inspected decoder saw them. */
function compareSteps(testCase: ManifestCase, tensors: ReadonlyMap<string, CaseTensor>, model: Model): Comparison[] {
  const logits = get(tensors, 'step_logits');
  const hidden = get(tensors, 'step_hidden');
  const stepTokens = get(tensors, 'step_tokens');
  const [steps = 0, stored = 0, columns = 0] = logits.shape;
  const width = hidden.shape[2] as number;
  const ids = [...new Set(model.steps.map((step) => step.row))];
  const seen = ids.map((id) => model.steps.filter((step) => step.row === id));
  const actual = { logits: [] as number[], hidden: [] as number[], rows: [] as number[] };
  const expected = { logits: [] as number[], hidden: [] as number[], rows: [] as number[] };
  for (let step = 0; step < steps; step++) {
    // Finished rows leave the stored batch, and those behind them move up.
    const running = seen.filter((row) => row.length > step);
    const live = Array.from({ length: stored }, (_, row) => stepTokens.data[step * stored + row] ?? -1);
    actual.rows.push(running.length);
    expected.rows.push(live.filter((token) => token >= 0).length);
    for (const [row, entries] of running.entries()) {
      const entry = entries[step];
      if (entry === undefined) continue;
      const from = (step * stored + row) * columns;
      const wanted = logits.data.subarray(from, from + columns);
      for (let column = 0; column < columns; column++) {
        if ((wanted[column] ?? 0) <= -1e29) continue; // the end token's column was cut off
        actual.logits.push(entry.logits[column] ?? Number.NaN);
        expected.logits.push(wanted[column] ?? 0);
      }
      actual.hidden.push(...(entry.hidden ?? []));
      expected.hidden.push(...hidden.data.subarray((step * stored + row) * width, (step * stored + row + 1) * width));
    }
  }
  return [
    compare(testCase, 'step_rows', actual.rows, expected.rows, 0),
    compare(testCase, 'step_logits', actual.logits, expected.logits),
    compare(testCase, 'step_hidden', actual.hidden, expected.hidden),
  ];
}

/** The first run of each row: input, mask, output and cache. Upstream pads rows of a batch on the left; we never pad. */
function comparePrefill(testCase: ManifestCase, tensors: ReadonlyMap<string, CaseTensor>, model: Model): Comparison[] {
  const { settings } = model;
  const comparisons: Comparison[] = [];
  const last = settings.layers - 1;
  for (const [row, request] of requests(testCase, tensors).entries()) {
    const phonemes = request.phonemeIds.length;
    const prompt = Int32Array.from(request.promptSemantic ?? []);
    const length = phonemes + prompt.length;
    const visible = visiblePositions(phonemes, prompt.length);
    const inputs: Record<string, Tensor> = {
      phonemes: tensor('int32', [1, phonemes], Int32Array.from(request.phonemeIds)),
      bert: tensor('float32', [1, phonemes, settings.bertWidth], request.bertFeatures ?? new Float32Array()),
      tokens: tensor('int32', [1, prompt.length], prompt),
      token_positions: tensor('int32', [1, prompt.length], Int32Array.from(prompt.keys())),
      visible: tensor('int32', [length], visible),
      seqlens: tensor('int32', [1], Int32Array.of(length - 1)),
      total: tensor('int32', [1], Int32Array.of(length)),
    };
    const cache: Record<string, Tensor> = {};
    for (let layer = 0; layer < settings.layers; layer++) {
      for (const name of [`k.${layer}`, `v.${layer}`]) {
        cache[name] = inputs[`past_${name}`] = zeros('float32', [1, settings.heads, length, settings.headWidth]);
      }
    }
    const results = model.debug.run(inputs, cache, ['xy_pos', 'xy_dec']);
    const suffix = `[${row}]`;
    for (const name of ['xy_pos', 'xy_dec']) {
      const expected = rightmost(get(tensors, name), row, length);
      comparisons.push(compare(testCase, name + suffix, output(results, name, 'float32').data, expected));
    }
    for (const [name, layer] of [
      ['k0', 'k.0'],
      ['v0', 'v.0'],
      ['k_last', `k.${last}`],
      ['v_last', `v.${last}`],
    ] as const) {
      const actual = positionsFirst(output(results, layer, 'float32').data, settings, length);
      comparisons.push(compare(testCase, name + suffix, actual, rightmost(get(tensors, name), row, length)));
    }
    comparisons.push(compare(testCase, `attn_mask${suffix}`, ...masks(get(tensors, 'attn_mask'), row, visible), 0));
  }
  return comparisons;
}

/** Our mask and the stored one (1 = not seen) for the positions of a row that are not padding. */
function masks(stored: CaseTensor, row: number, visible: Int32Array): [number[], number[]] {
  const size = stored.shape[1] as number;
  const padding = size - visible.length;
  const actual: number[] = [];
  const expected: number[] = [];
  for (const [query, seen] of visible.entries()) {
    for (let key = 0; key < size; key++) {
      actual.push(key < padding || key - padding >= seen ? 1 : 0);
      expected.push(stored.data[(row * size + padding + query) * size + key] ?? -1);
    }
  }
  return [actual, expected];
}

function compareChunks(testCase: ManifestCase, tensors: ReadonlyMap<string, CaseTensor>, model: Model): Comparison[] {
  const { params } = testCase;
  const chunker = createTokenChunker({
    chunkTokens: params['chunk_length'],
    muteSimilarity: (tensors.get('mute_emb_sim_matrix')?.data as Float32Array | undefined) ?? null,
    threshold: params['chunk_split_thershold'],
  });
  const chunks: Int32Array[] = [];
  const decoder = model.production;
  for (const request of requests(testCase, tensors)) {
    let event = decoder.addRow(request);
    for (;;) {
      const chunk = event.finished ? chunker.finish(event.token ?? undefined) : chunker.add(event.token ?? -1);
      if (chunk) chunks.push(chunk);
      if (event.finished) break;
      event = decoder.step()[0] ?? { row: 0, token: null, finished: 'end' };
    }
  }
  // A stream that ends on a chunk's last token has nothing left to send, which may be recorded as an empty chunk.
  const expected = [...tensors].filter(([name, { data }]) => name.startsWith('chunk_') && data.length > 0).length;
  return [
    compare(testCase, 'chunks', [chunks.length], [expected], 0),
    ...chunks.slice(0, expected).map((chunk, index) => {
      return compare(testCase, `chunk_${index}`, chunk, get(tensors, `chunk_${index}`).data, 0);
    }),
  ];
}

function compareSampling(testCase: ManifestCase, tensors: ReadonlyMap<string, CaseTensor>): Comparison[] {
  const comparisons: Comparison[] = [];
  const cases: readonly ManifestCase['params'][] = testCase.params['cases'];
  for (const [index, params] of cases.entries()) {
    const logits = get(tensors, `${index}.logits`);
    const [rows = 0, columns = 0] = logits.shape;
    const sampler = createSampler(columns);
    for (let row = 0; row < rows; row++) {
      const history = new TokenHistory(columns);
      for (const token of rowOf(get(tensors, `${index}.previous`), row)) history.add(token);
      const noise = rowOf(get(tensors, `${index}.exp_noise`), row);
      const probabilities = Float32Array.from(rowOf(logits, row));
      const chances = sampler.probabilities(probabilities, history, sampling(params)).slice();
      const drawn = Float32Array.from(rowOf(logits, row));
      const token = sampler.sample(drawn, history, sampling(params), (candidate) => noise[candidate] ?? Number.NaN);
      const name = (tensor: string) => `${index}.${tensor}[${row}]`;
      const expected = (tensor: string) => rowOf(get(tensors, `${index}.${tensor}`), row);
      comparisons.push(
        compare(testCase, name('logits_after'), probabilities, expected('logits_after')),
        compare(testCase, name('probs'), chances, expected('probs')),
        compare(testCase, name('token'), [token], expected('token'), 0),
      );
    }
  }
  return comparisons;
}

function get(tensors: ReadonlyMap<string, CaseTensor>, name: string): CaseTensor {
  const found = tensors.get(name);
  if (!found) throw new Error(`the case has no tensor ${name}`);
  return found;
}

/** Row `row` of a tensor, flat. */
function rowOf(stored: CaseTensor, row: number): CaseArray {
  const size = stored.shape.slice(1).reduce((product, dim) => product * dim, 1);
  return stored.data.subarray(row * size, (row + 1) * size);
}

/** The last `length` positions of row `row` of (rows, positions, width). */
function rightmost(stored: CaseTensor, row: number, length: number): CaseArray {
  const [, positions = 0, width = 0] = stored.shape;
  return stored.data.subarray(((row + 1) * positions - length) * width, (row + 1) * positions * width);
}

/** The cache (heads, positions, headWidth) → (positions, width), without what widens each head in the cache. */
function positionsFirst(values: Float32Array, settings: Text2SemanticSettings, positions: number): Float32Array {
  const { heads, headWidth, width } = settings;
  const own = width / heads;
  const result = new Float32Array(positions * width);
  for (let head = 0; head < heads; head++) {
    for (let position = 0; position < positions; position++) {
      const from = (head * positions + position) * headWidth;
      result.set(values.subarray(from, from + own), position * width + head * own);
    }
  }
  return result;
}
