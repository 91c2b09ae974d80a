import { readFileSync } from 'node:fs';
import { concatenate } from '../../src/audio/concatenate.js';
import { joinOverlapping } from './crossfade.js';
import { type Comparison, compare, compareInt16 } from './harness.js';
import { finishSentence } from './postprocess.js';
import type { CaseTensor, ManifestCase, ReferenceData } from './reference.js';
import { buckets, inBatches } from './to-batch.js';

/** Cases `post/*`: joining fragments, and what is done to a finished sentence. */
export async function runPostCase(testCase: ManifestCase, reference: ReferenceData): Promise<Comparison[]> {
  if (testCase.name === 'post/to_batch') return runToBatch(testCase, reference);
  const tensors = reference.load(testCase);
  if (testCase.name === 'post/sola') return runSola(testCase, tensors);
  if (testCase.name === 'post/audio_postprocess') return runAudioPostprocess(testCase, tensors);
  throw new Error(`no runner for ${testCase.name}`);
}

/**
 * How upstream puts sentences into batches. The product has no batches of sentences (rows join a running batch one by
 * one), but the `e2e/*` cases are joined by them, so what those runs do is held here.
 */
function runToBatch(testCase: ManifestCase, reference: ReferenceData): Comparison[] {
  const { cases } = JSON.parse(readFileSync(reference.path(testCase.file), 'utf8')) as { cases: ToBatchCase[] };
  return cases.map(({ norm_text_len, batch_size, threshold, split_bucket, batch_index_list }, index) => {
    const batches = split_bucket
      ? buckets(norm_text_len, batch_size, threshold)
      : inBatches([...norm_text_len.keys()], batch_size);
    return compare(testCase, `${index}.batch_index_list`, numbered(batches), numbered(batch_index_list), 0);
  });
}

interface ToBatchCase {
  readonly norm_text_len: readonly number[];
  readonly batch_size: number;
  readonly threshold: number;
  readonly split_bucket: boolean;
  readonly batch_index_list: readonly (readonly number[])[];
}

/** Lists as one list: each as its length and its entries. */
function numbered(lists: readonly (readonly number[])[]): number[] {
  return lists.flatMap((list) => [list.length, ...list]);
}

function runSola(testCase: ManifestCase, tensors: Map<string, CaseTensor>): Comparison[] {
  const cases = testCase.params['cases'] as { overlap_len: number; search_len: number; fragments: number }[];
  return cases.map(({ overlap_len, search_len, fragments }, index) => {
    const pieces = Array.from({ length: fragments }, (_, i) => floats(tensors, `${index}.fragment_${i}`));
    return compare(
      testCase,
      `${index}.out`,
      joinOverlapping(pieces, overlap_len, search_len),
      floats(tensors, `${index}.out`),
    );
  });
}

function runAudioPostprocess(testCase: ManifestCase, tensors: Map<string, CaseTensor>): Comparison[] {
  const cases = testCase.params['cases'] as { batch_index_list: number[][] | null; fragment_interval: number }[];
  return cases.map(({ batch_index_list, fragment_interval }, index) => {
    // Upstream's silence counts samples of the model's 32 kHz whatever rate is sent.
    const silenceSamples = Math.trunc(32_000 * fragment_interval);
    const sentences: Float32Array[] = [];
    let count = 0;
    for (const [batch, item] of fragmentPlaces(tensors)) {
      const finished = finishSentence(floats(tensors, `fragment_${batch}_${item}`), silenceSamples);
      sentences[batch_index_list?.[batch]?.[item] ?? count] = finished;
      count += 1;
    }
    const expected = tensors.get(`${index}.out`)?.data;
    if (!expected) throw new Error(`the case has no tensor "${index}.out"`);
    return compareInt16(testCase, `${index}.out`, int16Wrapping(concatenate(sentences)), expected);
  });
}

function fragmentPlaces(tensors: Map<string, CaseTensor>): [number, number][] {
  return [...tensors.keys()]
    .map((name) => /^fragment_(\d+)_(\d+)$/.exec(name))
    .filter((match) => match !== null)
    .map((match): [number, number] => [Number(match[1]), Number(match[2])])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

/** numpy's cast, which wraps where the product clamps (`pcm16`). */
export function int16Wrapping(samples: Float32Array): Int16Array {
  return Int16Array.from(samples, (value) => Math.trunc(value * 32768));
}

function floats(tensors: Map<string, CaseTensor>, name: string): Float32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the case has no float tensor "${name}"`);
  return data;
}
