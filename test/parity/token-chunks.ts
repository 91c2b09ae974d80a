export interface ChunkPolicy {
  /** Tokens that a chunk should have at least. */
  readonly chunkTokens: number;
  /**
   * How alike each token is to silence; with it a chunk ends after the most silent pair of tokens, and waits for one
   * above `threshold`. Without it chunks are of equal length.
   */
  readonly muteSimilarity?: Float32Array | null;
  readonly threshold?: number;
}

export interface TokenChunker {
  /** Adds a token; the tokens to send now, or null to wait. */
  add(token: number): Int32Array | null;
  /** What is left at the end, a last token (which no longer ends a chunk of its own) included; null when nothing is. */
  finish(lastToken?: number): Int32Array | null;
}

/**
 * Cuts a stream of semantic tokens into chunks as the reference does when it streams. When it cuts at a silent place,
 * a chunk holds all tokens so far, but the next one begins right after that place: the tokens between are sent twice, so
 * that the first chunk has context to its right.
 *
 * upstream: AR/models/t2s_model.py infer_panel_naive(streaming_mode=True)
 */
export function createTokenChunker(policy: ChunkPolicy): TokenChunker {
  let pending: number[] = [];
  return {
    add(token) {
      pending.push(token);
      const cut = policy.muteSimilarity
        ? silentCut(pending, policy.chunkTokens, policy.muteSimilarity, policy.threshold ?? 0.3)
        : pending.length >= policy.chunkTokens
          ? pending.length
          : 0;
      if (cut === 0) return null;
      const chunk = Int32Array.from(pending);
      pending = pending.slice(cut);
      return chunk;
    },
    finish(lastToken) {
      if (lastToken !== undefined) pending.push(lastToken);
      const chunk = pending.length > 0 ? Int32Array.from(pending) : null;
      pending = [];
      return chunk;
    },
  };
}

/** Tokens that must follow the shortest chunk before a cut is looked for. */
const LOOK_AHEAD_TOKENS = 2;

/** How many tokens to cut off after, or 0: the first place where two tokens in a row are most alike to silence. */
function silentCut(
  tokens: readonly number[],
  chunkTokens: number,
  similarity: Float32Array,
  threshold: number,
): number {
  if (tokens.length < chunkTokens + LOOK_AHEAD_TOKENS) return 0;
  const limit = Math.fround(threshold);
  const scores = tokens.map((token) => {
    const score = Math.fround((similarity[token] ?? 0) - limit);
    return score < 0 ? -1 : score;
  });
  const pairs = scores.map((score, index) => Math.fround(score + (scores[index + 1] ?? 0)));
  let best = 0;
  for (const [index, pair] of pairs.entries()) if (pair > (pairs[best] ?? 0)) best = index;
  return (pairs[best] ?? -1) >= 0 && best + 1 >= chunkTokens ? best + 1 : 0;
}
