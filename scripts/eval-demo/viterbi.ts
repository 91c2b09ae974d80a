/** Where a left-to-right search may go, and what it costs; the nodes themselves are columns of the emissions. */
export const STAY = Math.log(0.7);
export const MOVE = Math.log(0.3);

/** Log likelihoods of nodes, row-major (frames, nodes). */
export interface Emissions {
  readonly data: Float32Array;
  readonly frames: number;
  readonly nodes: number;
}

export interface Alignment {
  /** Log likelihood of the best path. */
  readonly score: number;
  /** Node of every frame; empty where no path reaches the end (fewer frames than nodes that must be passed). */
  readonly path: Int32Array;
}

/**
 * The best path through nodes 0, 1, 2, … one after another; nodes marked optional may be passed over.
 */
export function alignChain({ data, frames, nodes }: Emissions, optional: ArrayLike<number>): Alignment {
  let best = new Float64Array(nodes).fill(-Infinity);
  let next = new Float64Array(nodes);
  const from = new Int32Array(frames * nodes);
  best[0] = data[0]!;
  if (optional[0] && nodes > 1) best[1] = data[1]!;
  for (let frame = 1; frame < frames; frame++) {
    for (let node = 0; node < nodes; node++) {
      let score = best[node]! + STAY;
      let origin = node;
      if (node > 0 && best[node - 1]! + MOVE > score) {
        score = best[node - 1]! + MOVE;
        origin = node - 1;
      }
      if (node > 1 && optional[node - 1] && best[node - 2]! + MOVE > score) {
        score = best[node - 2]! + MOVE;
        origin = node - 2;
      }
      next[node] = score + data[frame * nodes + node]!;
      from[frame * nodes + node] = origin;
    }
    [best, next] = [next, best];
  }
  let node = nodes - 1;
  if (optional[node] && node > 0 && best[node - 1]! > best[node]!) node -= 1;
  const score = best[node]!;
  if (score === -Infinity) return { score, path: new Int32Array(0) };
  const path = new Int32Array(frames);
  for (let frame = frames - 1; frame >= 0; frame--) {
    path[frame] = node;
    node = from[frame * nodes + node]!;
  }
  return { score, path };
}

/** A word of a loop: its nodes in order. */
export interface LoopWord {
  readonly nodes: readonly number[];
  /** Log probability of entering it. */
  readonly entry: number;
}

/** The best sequence of words, any after any; returns the indices of the words in order. */
export function decodeLoop({ data, frames, nodes }: Emissions, words: readonly LoopWord[]): number[] {
  const offsets: number[] = [];
  let total = 0;
  for (const word of words) {
    offsets.push(total);
    total += word.nodes.length;
  }
  const columns = Int32Array.from(words.flatMap((word) => word.nodes));
  let scores = new Float64Array(total).fill(-Infinity);
  let nextScores = new Float64Array(total);
  /** The link before the word that each token is in. */
  let history = new Int32Array(total).fill(-1);
  let nextHistory = new Int32Array(total);
  const links: { word: number; before: number }[] = [];
  let hub = 0;
  let hubLink = -1;
  for (let frame = 0; frame < frames; frame++) {
    let bestEnd = -Infinity;
    let bestWord = 0;
    let bestHistory = -1;
    for (let word = 0; word < words.length; word++) {
      const start = offsets[word]!;
      const length = words[word]!.nodes.length;
      for (let k = 0; k < length; k++) {
        const at = start + k;
        let score = scores[at]! + STAY;
        let link = history[at]!;
        const entering = k === 0 ? hub + words[word]!.entry : scores[at - 1]! + MOVE;
        if (entering > score) {
          score = entering;
          link = k === 0 ? hubLink : history[at - 1]!;
        }
        nextScores[at] = score + data[frame * nodes + columns[at]!]!;
        nextHistory[at] = link;
      }
      const end = nextScores[start + length - 1]! + MOVE;
      if (end > bestEnd) {
        bestEnd = end;
        bestWord = word;
        bestHistory = nextHistory[start + length - 1]!;
      }
    }
    [scores, nextScores] = [nextScores, scores];
    [history, nextHistory] = [nextHistory, history];
    hub = bestEnd;
    links.push({ word: bestWord, before: bestHistory });
    hubLink = links.length - 1;
  }
  const heard: number[] = [];
  for (let link = links[hubLink]; link; link = links[link.before]) heard.unshift(link.word);
  return heard;
}
