/** The cheapest way from what was said to what was heard, counted. */
export interface Edits {
  readonly substitutions: number;
  /** Said and not heard. */
  readonly deletions: number;
  /** Heard and not said. */
  readonly insertions: number;
  readonly said: number;
}

/** Fewest edits between two sequences; among equally cheap ways the one with most substitutions. */
export function edits(said: readonly string[], heard: readonly string[]): Edits {
  const columns = heard.length + 1;
  const cost = new Int32Array((said.length + 1) * columns);
  for (let j = 1; j < columns; j++) cost[j] = j;
  for (let i = 1; i <= said.length; i++) {
    cost[i * columns] = i;
    for (let j = 1; j < columns; j++) {
      const change = cost[(i - 1) * columns + j - 1]! + (said[i - 1] === heard[j - 1] ? 0 : 1);
      cost[i * columns + j] = Math.min(change, cost[(i - 1) * columns + j]! + 1, cost[i * columns + j - 1]! + 1);
    }
  }
  const counts = { substitutions: 0, deletions: 0, insertions: 0 };
  let i = said.length;
  let j = heard.length;
  while (i > 0 || j > 0) {
    const here = cost[i * columns + j]!;
    const same = i > 0 && j > 0 && said[i - 1] === heard[j - 1];
    if (i > 0 && j > 0 && here === cost[(i - 1) * columns + j - 1]! + (same ? 0 : 1)) {
      if (!same) counts.substitutions++;
      i--;
      j--;
    } else if (i > 0 && here === cost[(i - 1) * columns + j]! + 1) {
      counts.deletions++;
      i--;
    } else {
      counts.insertions++;
      j--;
    }
  }
  return { ...counts, said: said.length };
}

/** Sums of several texts' edits. */
export function addEdits(all: readonly Edits[]): Edits {
  const sum = (pick: (one: Edits) => number) => all.reduce((total, one) => total + pick(one), 0);
  return {
    substitutions: sum((one) => one.substitutions),
    deletions: sum((one) => one.deletions),
    insertions: sum((one) => one.insertions),
    said: sum((one) => one.said),
  };
}

/** Edits a thing said; above 1 where more was heard than said. */
export function errorRate({ substitutions, deletions, insertions, said }: Edits): number {
  return said === 0 ? 0 : (substitutions + deletions + insertions) / said;
}
