import { describe, expect, it } from 'vitest';
import { type ChunkPolicy, createTokenChunker } from './token-chunks.js';

function chunksOf(policy: ChunkPolicy, tokens: readonly number[], lastToken?: number): number[][] {
  const chunker = createTokenChunker(policy);
  const chunks = [...tokens.map((token) => chunker.add(token)), chunker.finish(lastToken)];
  return chunks.flatMap((chunk) => (chunk ? [[...chunk]] : []));
}

describe('chunks of equal length', () => {
  it('cover all tokens once, the rest last', () => {
    expect(chunksOf({ chunkTokens: 3 }, [1, 2, 3, 4, 5, 6, 7])).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
    expect(chunksOf({ chunkTokens: 3 }, [1, 2, 3])).toEqual([[1, 2, 3]]);
    expect(chunksOf({ chunkTokens: 3 }, [1, 2], 9)).toEqual([[1, 2, 9]]);
    expect(chunksOf({ chunkTokens: 3 }, [])).toEqual([]);
  });
});

describe('chunks cut at silence', () => {
  // Token 0 is silent, the others are not.
  const muteSimilarity = Float32Array.of(1, 0, 0, 0);

  it('hold what follows the silent place as well, which the next chunk begins with', () => {
    const chunks = chunksOf({ chunkTokens: 3, muteSimilarity }, [1, 1, 0, 0, 2, 3, 2, 3]);
    expect(chunks).toEqual([
      [1, 1, 0, 0, 2],
      [0, 2, 3, 2, 3],
    ]);
  });

  it('wait while the speech goes on, and cut no chunk too short', () => {
    expect(chunksOf({ chunkTokens: 3, muteSimilarity }, [1, 2, 3, 1, 2, 3, 1])).toEqual([[1, 2, 3, 1, 2, 3, 1]]);
    expect(chunksOf({ chunkTokens: 4, muteSimilarity }, [0, 0, 1, 2, 3, 1, 2])).toEqual([[0, 0, 1, 2, 3, 1, 2]]);
  });
});
