/** Computes for the first reader and keeps the result until the last one has it: a matrix is quantised once, and let go. */
export function once<T>(compute: () => T): { first(): T; last(): T } {
  let kept: T | null = null;
  return {
    first: () => (kept ??= compute()),
    last: () => {
      const result = kept ?? compute();
      kept = null;
      return result;
    },
  };
}
