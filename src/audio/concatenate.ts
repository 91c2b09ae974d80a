/** One array of all samples in order. */
export function concatenate(pieces: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    out.set(piece, offset);
    offset += piece.length;
  }
  return out;
}
