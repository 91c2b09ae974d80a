import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { AppError } from '../errors.js';

/** A file read by position; nothing of it is kept. */
export interface FileReader {
  readonly path: string;
  readonly sizeBytes: number;
  /** Fills `target` with the bytes from `offset`; throws `CHECKPOINT_CORRUPT` where the file ends before. */
  read(target: Uint8Array, offset: number): void;
  close(): void;
}

/** One read call asks for at most this much: libuv's limit is 2 GiB - 1. */
const MAX_READ_BYTES = 1 << 30;

/**
 * Opens a regular file for reading by position. Throws `CHECKPOINT_NOT_FOUND`, or `CHECKPOINT_TOO_LARGE` above
 * `limitBytes`.
 */
export function openFileReader(path: string, limitBytes: number): FileReader {
  let fd: number;
  try {
    // Non-blocking, so that a named pipe cannot hang the open; regular files ignore it.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new AppError(
      'CHECKPOINT_NOT_FOUND',
      `cannot open checkpoint "${path}" (${reason}); expected the path of a readable .ckpt, .pth, .bin or .safetensors file`,
      { cause },
    );
  }
  let closed = false;
  const close = (): void => {
    if (!closed) closeSync(fd);
    closed = true;
  };
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      throw new AppError('CHECKPOINT_NOT_FOUND', `"${path}" is not a file; expected the path of one checkpoint file`);
    }
    if (stat.size > limitBytes) {
      throw new AppError(
        'CHECKPOINT_TOO_LARGE',
        `checkpoint "${path}" has ${stat.size} bytes; expected at most ${limitBytes}`,
      );
    }
    const sizeBytes = stat.size;
    return {
      path,
      sizeBytes,
      read(target, offset) {
        if (closed) throw new AppError('CHECKPOINT_NOT_FOUND', `checkpoint "${path}" was closed before this read`);
        if (offset < 0 || offset + target.length > sizeBytes) {
          throw new AppError(
            'CHECKPOINT_CORRUPT',
            `checkpoint "${path}" has ${sizeBytes} bytes, but it says that data lies at ${offset}..${offset + target.length}; it may be truncated, fetch it again`,
          );
        }
        let done = 0;
        while (done < target.length) {
          const count = readSync(fd, target, done, Math.min(MAX_READ_BYTES, target.length - done), offset + done);
          if (count === 0) {
            throw new AppError('CHECKPOINT_CORRUPT', `checkpoint "${path}" became shorter while it was read`);
          }
          done += count;
        }
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** Bytes in memory, read as a file of that name would be. */
export function bytesReader(bytes: Uint8Array, name: string): FileReader {
  return {
    path: name,
    sizeBytes: bytes.length,
    read(target, offset) {
      if (offset < 0 || offset + target.length > bytes.length) {
        throw new AppError(
          'CHECKPOINT_CORRUPT',
          `"${name}" has ${bytes.length} bytes, but it says that data lies at ${offset}..${offset + target.length}`,
        );
      }
      target.set(bytes.subarray(offset, offset + target.length));
    },
    close() {},
  };
}
