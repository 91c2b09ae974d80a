import { AppError } from '../errors.js';
import type { BertTokenizer } from './bert-tokenizer.js';

/** Runs the network of `buildBert`: token ids → hidden states, row-major (tokens, width). */
export type RunBert = (ids: readonly number[]) => Float32Array | Promise<Float32Array>;

/**
 * BERT features of a text, row-major (phonemes, width): row p is that of the character that phoneme p belongs to. A text
 * beyond the model's longest sequence is read in halves.
 *
 * upstream: TTS_infer_pack/TextPreprocessor.py get_bert_feature, whose result is the transpose. It takes the i-th token for the i-th character, which
 * is right for Chinese; here a character gets the token that holds it, and none (zeros) where it has none.
 *
 * @param word2ph phonemes of each character (code point) of `text`
 * @throws AppError `INTERNAL` where `word2ph` does not fit the text.
 */
export async function bertFeatures(
  text: string,
  word2ph: readonly number[],
  bert: {
    readonly tokenizer: BertTokenizer;
    readonly width: number;
    readonly maxTokens: number;
    readonly run: RunBert;
  },
): Promise<Float32Array> {
  const characters = Array.from(text);
  if (characters.length !== word2ph.length) {
    throw new AppError('INTERNAL', `${characters.length} characters have ${word2ph.length} entries in word2ph`);
  }
  const rows = await characterRows(characters, bert);
  return alignBertFeatures(rows, word2ph, bert.width);
}

/** Repeats the row of each character for each of its phonemes: (characters, width) → (sum of word2ph, width). */
export function alignBertFeatures(rows: Float32Array, word2ph: readonly number[], width: number): Float32Array {
  const phonemes = word2ph.reduce((sum, count) => sum + count, 0);
  const aligned = new Float32Array(phonemes * width);
  let phoneme = 0;
  for (const [character, count] of word2ph.entries()) {
    const row = rows.subarray(character * width, (character + 1) * width);
    for (let repeat = 0; repeat < count; repeat++, phoneme++) aligned.set(row, phoneme * width);
  }
  return aligned;
}

/** One row a character: (characters, width). */
async function characterRows(
  characters: readonly string[],
  bert: Parameters<typeof bertFeatures>[2],
): Promise<Float32Array> {
  const { tokenizer, width, maxTokens, run } = bert;
  const { ids, tokenOfCharacter } = tokenizer.encode(characters.join(''));
  const rows = new Float32Array(characters.length * width);
  if (ids.length > maxTokens && characters.length > 1) {
    const half = Math.ceil(characters.length / 2);
    rows.set(await characterRows(characters.slice(0, half), bert), 0);
    rows.set(await characterRows(characters.slice(half), bert), half * width);
    return rows;
  }
  const hidden = await run(ids);
  for (const [character, token] of tokenOfCharacter.entries()) {
    if (token >= 0) rows.set(hidden.subarray(token * width, (token + 1) * width), character * width);
  }
  return rows;
}
