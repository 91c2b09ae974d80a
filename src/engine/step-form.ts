import type { RowRequest, SemanticDecoder } from './semantic-decoder.js';

/** Rows of a step that is timed: a lone caller, and as many as share a step by default. */
const ROW_COUNTS = [1, 8];
const TIMED_STEPS = 12;

/**
 * How many times as fast ONNX Runtime computes a step as our own kernel does, on this processor: the geometric mean over 1
 * and 8 rows. The two take turns, and the least of {@link TIMED_STEPS} steps counts, which neighbours disturb least.
 *
 * Which is faster depends on the processor: without 8-bit dot products the kernel is, by half; with them (AVX-512 VNNI) ONNX
 * Runtime's products have four times the width of WebAssembly's. `rows` are sentences of at least so many tokens.
 */
export function sessionAgainstKernel(
  session: SemanticDecoder,
  kernel: SemanticDecoder,
  rows: readonly RowRequest[],
): number {
  const ratios = ROW_COUNTS.map((count) => {
    const least = new Map([session, kernel].map((decoder) => [decoder, Number.POSITIVE_INFINITY]));
    const added = [...least.keys()].map((decoder) => ({
      decoder,
      ids: rows.slice(0, count).map((row) => decoder.addRow(row).row),
    }));
    // The first step prepares what the later ones use.
    for (let step = 0; step <= TIMED_STEPS; step++) {
      for (const [decoder, before] of least) {
        const start = performance.now();
        decoder.step();
        const time = performance.now() - start;
        if (step > 0) least.set(decoder, Math.min(before, time));
      }
    }
    for (const { decoder, ids } of added) for (const id of ids) decoder.removeRow(id);
    return least.get(kernel)! / least.get(session)!; // both were timed
  });
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
}
