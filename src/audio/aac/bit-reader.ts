/** Bits that cannot be AAC as we read it: damage, or a part of the standard that is not in AAC-LC. */
export class AacFault extends Error {}

/** Bits of a frame, the foremost first. */
export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = 8 * bytes.length;
  }

  /** Bits. */
  get left(): number {
    return this.#end - this.#position;
  }

  /** The next bits, at most 24, zeros behind the end. */
  peek(bits: number): number {
    const at = this.#position >> 3;
    const bytes = this.#bytes;
    const word =
      ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return bits === 0 ? 0 : (word << (this.#position & 7)) >>> (32 - bits);
  }

  skip(bits: number): void {
    if (bits > this.left) throw new AacFault('the frame ends in the middle');
    this.#position += bits;
  }

  /** At most 24 bits. */
  read(bits: number): number {
    const value = this.peek(bits);
    this.skip(bits);
    return value;
  }

  flag(): boolean {
    return this.read(1) === 1;
  }

  toByte(): void {
    this.skip(-this.#position & 7);
  }
}
