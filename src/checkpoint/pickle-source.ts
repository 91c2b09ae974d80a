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

  /** A line of ASCII or UTF-8 up to `\n`, without it. */
  line(limitBytes: number): Buffer {
    let length = 0;
    for (;;) {
      if (length >= limitBytes) {
        throw new AppError(
          'CHECKPOINT_LIMIT',
          `checkpoint "${this.#file.path}" holds a line of more than ${limitBytes} bytes in its pickle`,
        );
      }
      this.#require(length + 1);
      if (this.#window[this.#at + length] === 0x0a) break;
      length++;
    }
    this.#at += length + 1;
    return this.#window.subarray(this.#at - length - 1, this.#at - 1);
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
