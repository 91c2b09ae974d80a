/** Sentences of similar length together. upstream: to_batch with split_bucket */
export function buckets(lengths: readonly number[], batchSize: number, threshold: number): number[][] {
  const order = [...lengths.keys()].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0));
  const batches: number[][] = [];
  let start = 0;
  while (start < order.length) {
    let end = Math.min(start + batchSize, order.length);
    for (; end - start > 1; end--) {
      const sizes = order.slice(start, end).map((index) => lengths[index] ?? 0);
      const mean = Math.fround(sizes.reduce((sum, size) => sum + size, 0) / sizes.length);
      if ((sizes[Math.floor(sizes.length / 2)] ?? 0) / Math.fround(mean + 1e-8) >= threshold) break;
    }
    batches.push(order.slice(start, end));
    start = end;
  }
  return batches;
}

export function inBatches<T>(items: readonly T[], size: number): T[][] {
  const batches: T[][] = [];
  for (let start = 0; start < items.length; start += size) batches.push(items.slice(start, start + size));
  return batches;
}
