import { expect, it } from 'vitest';
import { alignChain, decodeLoop, type Emissions } from '../../scripts/eval-demo/viterbi.js';

/** Emissions that like node `liked[frame]` and dislike all others. */
function liking(liked: readonly number[], nodes: number): Emissions {
  const data = new Float32Array(liked.length * nodes).fill(-20);
  for (const [frame, node] of liked.entries()) data[frame * nodes + node] = 0;
  return { data, frames: liked.length, nodes };
}

it('follows the nodes of a chain in order', () => {
  const { path } = alignChain(liking([0, 0, 1, 1, 1, 2], 3), [0, 0, 0]);
  expect([...path]).toEqual([0, 0, 1, 1, 1, 2]);
});

it('passes over nodes only where they are optional', () => {
  const frames = liking([0, 0, 2, 2], 3);
  expect([...alignChain(frames, [0, 1, 0]).path]).toEqual([0, 0, 2, 2]);
  expect([...alignChain(frames, [0, 0, 0]).path]).toContain(1);
});

it('may begin after and end before optional nodes', () => {
  expect([...alignChain(liking([1, 1, 1], 3), [1, 0, 1]).path]).toEqual([1, 1, 1]);
});

it('finds no path where there are fewer frames than nodes to pass', () => {
  const { score, path } = alignChain(liking([0, 1], 3), [0, 0, 0]);
  expect(score).toBe(-Infinity);
  expect(path).toHaveLength(0);
});

it('scores the chain that fits higher than one that does not', () => {
  const right = alignChain(liking([0, 1, 2], 3), [0, 0, 0]).score;
  const wrong = alignChain(liking([2, 1, 0], 3), [0, 0, 0]).score;
  expect(right).toBeGreaterThan(wrong);
});

const words = [
  { nodes: [0, 1], entry: -1 },
  { nodes: [2, 3], entry: -1 },
  { nodes: [4], entry: -1 },
];

it('hears a sequence of words, also the same one twice', () => {
  const frames = liking([0, 0, 1, 2, 3, 3, 2, 3, 4, 4, 0, 1], 5);
  expect(decodeLoop(frames, words)).toEqual([0, 1, 1, 2, 0]);
});

it('hears fewer words when each one costs more', () => {
  const frames = liking([4, 4, 0, 4, 4], 5);
  const dear = words.map((word) => ({ ...word, entry: -60 }));
  expect(decodeLoop(frames, dear)).toEqual([2]);
});

it('hears nothing in no frames', () => {
  expect(decodeLoop({ data: new Float32Array(0), frames: 0, nodes: 5 }, words)).toEqual([]);
});
