import { AppError } from '../errors.js';
import type { FileReader } from './file-reader.js';

const WINDOW_BYTES = 1 << 16;

/** A forward reader over a stretch of a file; declared lengths are held against what is left before anything is allocated. */
export class PickleSource {
  readonly #file: FileReader;
  readonly #end: number;
  #window: Buffer = Buffer.alloc(0);
  /** File position of the window's first byte, and the next byte within the window. */
  #windowOffset: number;
  #at = 0;

  constructor(file: FileReader, offset: number, sizeBytes: number) {
    this.#file = file;
    this.#windowOffset = offset;
    this.#end = offset + sizeBytes;
  }

  /** Position in the file of the next byte. */
  get position(): number {
    return this.#windowOffset + this.#at;
  }

  get remainingBytes(): number {
    return this.#end - this.position;
  }

  uint8(): number {
    this.#require(1);
    return this.#window[this.#at++]!; // present: #require
  }

  uint16(): number {
    this.#require(2);
    this.#at += 2;
    return this.#window.readUInt16LE(this.#at - 2);
  }

  int32(): number {
    this.#require(4);
    this.#at += 4;
    return this.#window.readInt32LE(this.#at - 4);
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** An unsigned 64-bit length; anything beyond the end of the pickle is refused by whoever uses it. */
  uint64(): number {
    this.#require(8);
    this.#at += 8;
    return Number(this.#window.readBigUInt64LE(this.#at - 8));
  }

  float64BigEndian(): number {
    this.#require(8);
    this.#at += 8;
    return this.#window.readDoubleBE(this.#at - 8);
  }

  /** The next `length` bytes, valid until the next call; `limitBytes` bounds the allocation. */
  bytes(length: number, limitBytes: number): Buffer {
    if (length > this.remainingBytes) throw this.#short(length);
    if (length > limitBytes) {
      throw new AppError(
        'CHECKPOINT_LIMIT',
        `checkpoint "${this.#file.path}" holds a string of ${length} bytes; expected at most ${limitBytes}`,
      );
    }
    this.#require(length);
    this.#at += length;
    return this.#window.subarray(this.#at - length, this.#at);
  }

  /** A line of ASCII or UTF-8 up to `\n`, without it; valid until the next call. */
  line(limitBytes: number): Buffer {
    let searched = 0;
    for (;;) {
      const end = this.#window.indexOf(0x0a, this.#at + searched) - this.#at;
      if (end >= 0 && end <= limitBytes) {
        this.#at += end + 1;
        return this.#window.subarray(this.#at - end - 1, this.#at - 1);
      }
      searched = this.#window.length - this.#at;
      if (end >= 0 || searched > limitBytes) {
        throw new AppError(
          'CHECKPOINT_LIMIT',
          `checkpoint "${this.#file.path}" holds a line of more than ${limitBytes} bytes in its pickle`,
        );
      }
      if (searched >= this.remainingBytes) throw this.#short(searched + 1);
      // Twice as much each time, so that a long line costs twice its length at most.
      this.#require(Math.min(this.remainingBytes, Math.max(WINDOW_BYTES, 2 * searched)));
    }
  }

  #require(length: number): void {
    if (this.#at + length <= this.#window.length) return;
    if (length > this.remainingBytes) throw this.#short(length);
    const position = this.position;
    const window = Buffer.allocUnsafe(Math.min(this.#end - position, Math.max(WINDOW_BYTES, length)));
    this.#file.read(window, position);
    this.#window = window;
    this.#windowOffset = position;
    this.#at = 0;
  }

  #short(length: number): AppError {
    return new AppError(
      'CHECKPOINT_CORRUPT',
      `checkpoint "${this.#file.path}" is cut short: its pickle wants ${length} more bytes at ${this.position} and has ${this.remainingBytes}`,
    );
  }
}
