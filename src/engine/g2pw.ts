import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import { type BertTokenizer, createBertTokenizer } from '../models/bert-tokenizer.js';
import type { PolyphonePredictor, PredictedReading } from '../text/polyphones.js';
import { pinyinOf } from '../text/zh/bopomofo.js';
import { traditionalForms } from '../text/zh/traditional.js';
import { output, type Runtime, type Session, tensor } from './onnxruntime.js';

/** What is asked of the network: one text, and in it some characters. */
export interface G2pwCall {
  /** The ONNX file. */
  readonly path: string;
  /** Tokens of the text, [CLS] and [SEP] included. */
  readonly ids: readonly number[];
  readonly queries: readonly G2pwQuery[];
  /** Readings that the network knows. */
  readonly labels: number;
}

export interface G2pwQuery {
  /** Token of the character. */
  readonly position: number;
  /** Index of the character among those of several readings. */
  readonly character: number;
  /** Labels that it may have. */
  readonly candidates: readonly number[];
}

/** Probabilities (queries, labels). */
export type RunG2pw = (call: G2pwCall) => Promise<Float32Array>;

/** A model of g2pW as an operator supplies it, but for its network. */
export interface G2pw {
  readonly path: string;
  readonly tokenizer: BertTokenizer;
  /** In pinyin, undefined for one that is none, by label. */
  readonly labels: readonly (string | undefined)[];
  /** Characters of several readings with their index and labels. */
  readonly characters: ReadonlyMap<string, { readonly index: number; readonly candidates: readonly number[] }>;
  /** Whether it was trained on traditional characters, as the published one. */
  readonly traditional: boolean;
}

const NETWORKS = ['g2pW.onnx', 'g2pw.onnx', 'model.onnx'];
const LIST = 'POLYPHONIC_CHARS.txt';

/**
 * Reads a folder of g2pW (https://github.com/GitYCC/g2pW): the network as ONNX, the list of characters and readings, and
 * the vocabulary of its BERT (bert-base-chinese). Labels and characters are numbered as its own code numbers them: sorted.
 *
 * Throws `CONFIG_INVALID` that names what is missing or wrong.
 * upstream: g2pw/dataset.py get_phoneme_labels, get_char_phoneme_labels; GPT-SoVITS text/g2pw/onnx_api.py
 */
export function readG2pw(folder: string): G2pw {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw invalid(folder, 'there is no such folder');
  const file = NETWORKS.find((name) => existsSync(join(folder, name)));
  if (file === undefined) throw invalid(folder, `it has no ${NETWORKS[0]}`);
  const read = (name: string): string | undefined => {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  };
  const list = read(LIST);
  if (list === undefined) throw invalid(folder, `it has no ${LIST}`);
  const tokenizerJson = read('tokenizer.json');
  const vocabulary = read('vocab.txt');
  if (tokenizerJson === undefined && vocabulary === undefined) {
    throw invalid(folder, 'it has no vocab.txt; copy that of bert-base-chinese there');
  }
  // The published configuration is a Python file of simple assignments.
  const perCharacter = /^[ \t]{0,40}use_char_phoneme[ \t]{0,40}=[ \t]{0,40}True/m.test(read('config.py') ?? '');
  const pairs = readPairs(folder, list);
  const labelOf = ([character, reading]: Pair): string => (perCharacter ? `${character} ${reading}` : reading);
  const labels = [...new Set(pairs.map(labelOf))].sort();
  const labelIndex = new Map(labels.map((label, index) => [label, index]));
  const candidates = new Map<string, number[]>();
  for (const pair of pairs) {
    const known = candidates.get(pair[0]);
    const label = labelIndex.get(labelOf(pair)) ?? 0;
    if (known === undefined) candidates.set(pair[0], [label]);
    else known.push(label);
  }
  const characters = [...candidates.keys()].sort();
  return {
    path: join(folder, file),
    tokenizer: tokenizerOf(folder, tokenizerJson, vocabulary),
    labels: labels.map((label) => pinyinOf(label.slice(label.indexOf(' ') + 1))),
    characters: new Map(
      characters.map((character, index) => [character, { index, candidates: candidates.get(character) ?? [] }]),
    ),
    traditional: candidates.has('長') && !candidates.has('长'),
  };
}

/** Throws `CONFIG_INVALID` where a network does not take what g2pW's takes. */
function requireG2pwNetwork({ inputs, outputs }: Pick<Session, 'inputs' | 'outputs'>, path: string): void {
  const missing = Object.keys(INPUTS).filter((name) => !inputs.some((input) => input.name === name));
  if (missing.length > 0) {
    throw invalid(
      path,
      `its network has no input ${missing.join(', ')}; it has ${inputs.map(({ name }) => name).join(', ')}`,
    );
  }
  for (const { name, dtype } of inputs) {
    const expected = INPUTS[name];
    if (expected === undefined) throw invalid(path, `its network wants "${name}", which g2pW's does not have`);
    if (dtype !== expected) throw invalid(path, `the input "${name}" of its network is ${dtype}, expected ${expected}`);
  }
  if (outputs[0]?.dtype !== 'float32') throw invalid(path, 'its network gives no probabilities (float32)');
}

const INPUTS: Readonly<Record<string, 'int64' | 'float32'>> = {
  input_ids: 'int64',
  token_type_ids: 'int64',
  attention_mask: 'int64',
  phoneme_mask: 'float32',
  char_ids: 'int64',
  position_ids: 'int64',
};

/** Opens the network of an operator's model; throws `CONFIG_INVALID` where it cannot be opened or is another. */
export function openG2pwNetwork(runtime: Runtime, path: string): Session {
  let session: Session;
  try {
    session = runtime.createSession(path);
  } catch (cause) {
    throw invalid(
      path,
      `its network cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
  try {
    requireG2pwNetwork(session, path);
  } catch (error) {
    session.close();
    throw error;
  }
  return session;
}

/** Runs the network over all queries of a text at once: probabilities (queries, labels). Throws `ENGINE_RUNTIME`. */
export function runG2pw(session: Session, { ids, queries, labels }: G2pwCall): Float32Array {
  const count = queries.length;
  const tokens = [count, ids.length];
  const repeated = new BigInt64Array(count * ids.length);
  const mask = new Float32Array(count * labels);
  queries.forEach(({ candidates }, row) => {
    repeated.set(BigInt64Array.from(ids, BigInt), row * ids.length);
    for (const label of candidates) mask[row * labels + label] = 1;
  });
  const { name = '' } = session.outputs[0] ?? {};
  const results = session.run({
    input_ids: tensor('int64', tokens, repeated),
    token_type_ids: tensor('int64', tokens, new BigInt64Array(repeated.length)),
    attention_mask: tensor('int64', tokens, new BigInt64Array(repeated.length).fill(1n)),
    phoneme_mask: tensor('float32', [count, labels], mask),
    char_ids: tensor(
      'int64',
      [count],
      BigInt64Array.from(queries, ({ character }) => BigInt(character)),
    ),
    position_ids: tensor(
      'int64',
      [count],
      BigInt64Array.from(queries, ({ position }) => BigInt(position)),
    ),
  });
  return output(results, name, 'float32').data;
}

/**
 * g2pW as the text front end asks it. A long text is read window by window, and characters that its training left to words
 * are not asked. Traditional characters are put in for a network that was trained on them, one by one; one that stands
 * for several of which the network knows more than one is not asked.
 */
export function g2pwPredictor(model: G2pw, run: RunG2pw): PolyphonePredictor {
  const keyOf = (character: string): string | undefined => {
    if (NOT_ASKED.has(character)) return undefined;
    if (model.characters.has(character)) return character;
    const forms = model.traditional ? traditionalForms(character).filter((form) => model.characters.has(form)) : [];
    return forms.length === 1 && !NOT_ASKED.has(forms[0]!) ? forms[0] : undefined;
  };
  const shown = (character: string): string =>
    model.traditional ? (keyOf(character) ?? traditionalForms(character)[0] ?? character) : character;

  async function predictWindow(
    text: string,
    offsets: readonly number[],
  ): Promise<readonly (PredictedReading | null)[]> {
    const { ids, tokenOfCharacter } = model.tokenizer.encode([...text].map(shown).join(''));
    // Offsets count UTF-16 units, tokens code points.
    const queries = offsets.map((offset): G2pwQuery | null => {
      const known = model.characters.get(keyOf(text.charAt(offset)) ?? '');
      const position = tokenOfCharacter[[...text.slice(0, offset)].length] ?? -1;
      return known === undefined || position < 0
        ? null
        : { position, character: known.index, candidates: known.candidates };
    });
    const asked = queries.filter((query) => query !== null);
    if (asked.length === 0) return offsets.map(() => null);
    const { path, labels } = model;
    const probabilities = await run({ path, ids, queries: asked, labels: labels.length });
    let row = 0;
    return queries.map((query) => (query === null ? null : likeliest(probabilities, row++, query, labels)));
  }

  return {
    name: 'g2pW',
    knows: (character) => keyOf(character) !== undefined,
    async predict(text, offsets) {
      const answers = new Map<number, PredictedReading | null>();
      for (let start = 0; start < text.length; start += WINDOW) {
        const inside = offsets.filter((offset) => offset >= start && offset < start + WINDOW);
        if (inside.length === 0) continue;
        const read = await predictWindow(
          text.slice(start, start + WINDOW),
          inside.map((offset) => offset - start),
        );
        inside.forEach((offset, i) => {
          answers.set(offset, read[i] ?? null);
        });
      }
      return offsets.map((offset) => answers.get(offset) ?? null);
    },
  };
}

/** Well within what BERT reads at once. */
const WINDOW = 300;

/** Left to words and tables, as GPT-SoVITS does (text/g2pw/onnx_api.py non_polyphonic). */
const NOT_ASKED: ReadonlySet<string> = new Set('一不和咋嗲剖差攢倒難奔勁拗肖瘙誒泊听噢难劲');

function likeliest(
  probabilities: Float32Array,
  row: number,
  { candidates }: G2pwQuery,
  labels: G2pw['labels'],
): PredictedReading | null {
  const at = (label: number): number => probabilities[row * labels.length + label] ?? 0;
  const total = candidates.reduce((sum, label) => sum + at(label), 0);
  let best: number | undefined;
  for (const label of candidates) if (best === undefined || at(label) > at(best)) best = label;
  const reading = best === undefined ? undefined : labels[best];
  return best === undefined || reading === undefined || !(total > 0) ? null : { reading, confidence: at(best) / total };
}

type Pair = readonly [character: string, reading: string];

function readPairs(folder: string, list: string): Pair[] {
  const lines = list.split(/\r?\n/).filter((line) => line.trim() !== '');
  const pairs = lines.map((line, i): Pair => {
    const [character = '', reading = '', ...rest] = line.split('\t');
    if ([...character].length !== 1 || reading === '' || rest.length > 0) {
      throw invalid(folder, `line ${i + 1} of ${LIST} is not a character, a tab and a reading`);
    }
    return [character, reading.trim()];
  });
  if (!pairs.some(([, reading]) => pinyinOf(reading) !== undefined)) {
    throw invalid(folder, `${LIST} has no readings in bopomofo or pinyin with tone numbers`);
  }
  return pairs;
}

function tokenizerOf(folder: string, tokenizerJson?: string, vocabulary?: string): BertTokenizer {
  try {
    return createBertTokenizer({
      ...(tokenizerJson === undefined ? {} : { tokenizerJson }),
      ...(vocabulary === undefined ? {} : { vocabulary }),
    });
  } catch (cause) {
    throw invalid(folder, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function invalid(place: string, problem: string, cause?: unknown): AppError {
  return new AppError(
    'CONFIG_INVALID',
    `TIMBRE_G2PW_FOLDER (${place}) is no model of g2pW: ${problem}; expected g2pW.onnx, ${LIST} and vocab.txt in one folder`,
    { cause },
  );
}
