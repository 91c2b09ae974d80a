/**
 * The part of the protocol-buffer wire format that an ONNX model needs: varints, fixed32 floats and length-delimited
 * fields. A message is a list of byte pieces, so that nesting never copies a large payload twice.
 */
export class Message {
  readonly #pieces: Uint8Array[] = [];
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Field of type int32, int64 or enum; negative values take ten bytes, as the format says. */
  int(field: number, value: number | bigint): this {
    this.#tag(field, 0);
    this.#varint(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  /** Field of type float. */
  float(field: number, value: number): this {
    this.#tag(field, 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#push(bytes);
    return this;
  }

  /** Field of type string or bytes. */
  bytes(field: number, value: string | Uint8Array): this {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    this.#tag(field, 2);
    this.#varint(BigInt(bytes.byteLength));
    this.#push(bytes);
    return this;
  }

  /** Field that holds another message. */
  message(field: number, value: Message): this {
    this.#tag(field, 2);
    this.#varint(BigInt(value.sizeBytes));
    for (const piece of value.#pieces) this.#push(piece);
    return this;
  }

  /** Packed repeated int64 (or int32, enum) field. */
  packedInts(field: number, values: Iterable<number | bigint>): this {
    const packed = new Message();
    for (const value of values) packed.#varint(BigInt.asUintN(64, BigInt(value)));
    return this.message(field, packed);
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#sizeBytes);
    let offset = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, offset);
      offset += piece.byteLength;
    }
    return bytes;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(BigInt(field * 8 + wireType));
  }

  #varint(value: bigint): void {
    const bytes: number[] = [];
    let rest = value;
    while (rest > 127n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#push(Uint8Array.from(bytes));
  }

  #push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#sizeBytes += bytes.byteLength;
  }
}
