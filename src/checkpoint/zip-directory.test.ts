import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { PickleWriter } from '../../bench/pickle-writer.js';
import { bytesOf, ScratchCheckpoints } from '../../bench/scratch-checkpoints.js';
import { writeStoredZip } from '../../bench/stored-zip.js';
import { AppError } from '../errors.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import { openCheckpoint } from './open-checkpoint.js';

const scratch = new ScratchCheckpoints();
afterAll(() => scratch.close());

const CENTRAL = Buffer.from('504b0102', 'hex');
const END = Buffer.from('504b0506', 'hex');
const END64 = Buffer.from('504b0606', 'hex');

/** A sound archive of one tensor [1, 2, 3, 4], to be changed byte by byte. */
function soundArchive(): Buffer {
  const pickle = new PickleWriter().protocol().raw('}').text('a');
  pickle
    .tensor({ storageClass: 'FloatStorage', key: '0', elements: 4, shape: [4] })
    .raw('s')
    .stop();
  return readFileSync(scratch.torchZip(pickle, { 0: bytesOf(Float32Array.of(1, 2, 3, 4)) }));
}

/** Position of the central record, local header or storage data of a member. */
function central(bytes: Buffer, name: string): number {
  const at = bytes.lastIndexOf(name) - 46;
  expect(bytes.subarray(at, at + 4)).toEqual(CENTRAL);
  return at;
}

function local(bytes: Buffer, name: string): number {
  return bytes.indexOf(name) - 30;
}

function open(bytes: Uint8Array, limits: Partial<CheckpointLimits> = {}): number[] {
  const checkpoint = openCheckpoint(scratch.file(bytes), { limits });
  try {
    return [...(checkpoint.tensors.get('a')?.readFloat32() ?? [])];
  } finally {
    checkpoint.close();
  }
}

function refusal(bytes: Uint8Array, limits: Partial<CheckpointLimits> = {}): AppError {
  try {
    open(bytes, limits);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = soundArchive();
  change(bytes);
  return bytes;
}

const STORAGE = 'archive/data/0';

describe('a zip archive', () => {
  it('is read as torch writes it', () => {
    expect(open(soundArchive())).toEqual([1, 2, 3, 4]);
  });

  it.each(['02', '03', '04', '05', '06'])('may begin with upstream’s version tag %s', (tag) => {
    const checkpoint = openCheckpoint(scratch.file(changed((bytes) => bytes.write(tag, 0, 'latin1'))));
    expect(checkpoint.header).toBe(tag);
    checkpoint.close();
  });

  it.each(['00', '07', 'MZ', 'pk'])('may not begin with %s', (tag) => {
    expect(refusal(changed((bytes) => bytes.write(tag, 0, 'latin1'))).code).toBe('CHECKPOINT_UNSUPPORTED');
  });

  it('may have a root folder of any name and a comment at its end', () => {
    const path = scratch.path();
    const pickle = new PickleWriter().protocol().raw('}').text('info').text('x').raw('s').stop().bytes();
    writeStoredZip(path, [{ name: '1735689600.125/data.pkl', parts: [pickle] }]);
    const bytes = readFileSync(path);
    bytes.writeUInt16LE(5, bytes.lastIndexOf(END) + 20);
    const checkpoint = openCheckpoint(scratch.file(Buffer.concat([bytes, Buffer.from('hello')])));
    expect(checkpoint.data).toEqual({ info: 'x' });
    checkpoint.close();
  });

  it('may give sizes and places as zip64 alone', () => {
    const bytes = soundArchive();
    const at = central(bytes, STORAGE);
    const extra = Buffer.alloc(28);
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    extra.writeBigUInt64LE(BigInt(bytes.readUInt32LE(at + 24)), 4);
    extra.writeBigUInt64LE(BigInt(bytes.readUInt32LE(at + 20)), 12);
    extra.writeBigUInt64LE(BigInt(bytes.readUInt32LE(at + 42)), 20);
    for (const field of [20, 24, 42]) bytes.writeUInt32LE(0xffffffff, at + field);
    bytes.writeUInt16LE(28, at + 30);
    const insertAt = at + 46 + STORAGE.length;
    const grown = Buffer.concat([bytes.subarray(0, insertAt), extra, bytes.subarray(insertAt)]);
    // The directory is longer by 28 bytes, and so are the places of what stands behind it.
    const [end64, end] = [grown.lastIndexOf(END64), grown.lastIndexOf(END)];
    grown.writeBigUInt64LE(grown.readBigUInt64LE(end64 + 40) + 28n, end64 + 40);
    grown.writeBigUInt64LE(BigInt(end64), end64 + 56 + 8);
    for (const field of [8, 10]) grown.writeUInt16LE(0xffff, end + field);
    for (const field of [12, 16]) grown.writeUInt32LE(0xffffffff, end + field);
    expect(open(grown)).toEqual([1, 2, 3, 4]);
    const missing = Buffer.from(grown);
    missing.writeUInt16LE(2, insertAt);
    expect(refusal(missing).message).toMatch(/zip64 sizes of "archive\/data\/0" are missing/);
    const huge = Buffer.from(grown);
    huge.writeBigUInt64LE(2n ** 63n, insertAt + 20);
    expect(refusal(huge).code).toBe('CHECKPOINT_CORRUPT');
  });

  it.each<[string, (bytes: Buffer) => void]>([
    ['a directory said to begin elsewhere', (b) => b.writeUInt32LE(7, b.lastIndexOf(END) + 16)],
    ['a directory said to be longer', (b) => b.writeUInt32LE(9999, b.lastIndexOf(END) + 12)],
    ['fewer members in one end record than in the other', (b) => b.writeUInt16LE(1, b.lastIndexOf(END) + 10)],
    [
      'fewer members than the directory holds',
      (b) => {
        for (const field of [8, 10]) b.writeUInt16LE(2, b.lastIndexOf(END) + field);
        for (const field of [24, 32]) b.writeBigUInt64LE(2n, b.lastIndexOf(END64) + field);
      },
    ],
    [
      'more members than the directory holds',
      (b) => {
        for (const field of [8, 10]) b.writeUInt16LE(5, b.lastIndexOf(END) + field);
        for (const field of [24, 32]) b.writeBigUInt64LE(5n, b.lastIndexOf(END64) + field);
      },
    ],
    ['a zip64 end record of a wrong size', (b) => b.writeBigUInt64LE(45n, b.lastIndexOf(END64) + 4)],
    ['a zip64 end record that is elsewhere', (b) => b.writeBigUInt64LE(1n, b.lastIndexOf(END64) + 56 + 8)],
    ['a zip64 end record beyond the file', (b) => b.writeBigUInt64LE(2n ** 62n, b.lastIndexOf(END64) + 56 + 8)],
    ['a zip64 directory of 2^62 bytes', (b) => b.writeBigUInt64LE(2n ** 62n, b.lastIndexOf(END64) + 40)],
    ['a damaged directory', (b) => b.writeUInt32LE(0, central(b, STORAGE))],
    ['a name longer than the directory', (b) => b.writeUInt16LE(0xffff, central(b, 'archive/version') + 28)],
    ['an empty name', (b) => b.writeUInt16LE(0, central(b, 'archive/version') + 28)],
    ['a name that is not UTF-8', (b) => b.writeUInt8(0xff, b.lastIndexOf('archive/version'))],
    ['a name with a zero byte', (b) => b.writeUInt8(0, b.lastIndexOf('archive/version') + 3)],
    ['two names for one member', (b) => b.write('X', b.indexOf('archive/version'), 'latin1')],
    ['two sizes for one member', (b) => b.writeUInt32LE(99, central(b, STORAGE) + 24)],
    ['another size in the local header', (b) => b.writeUInt32LE(99, local(b, STORAGE) + 22)],
    ['other flags in the local header', (b) => b.writeUInt16LE(0, local(b, STORAGE) + 6)],
    ['another method in the local header', (b) => b.writeUInt16LE(8, local(b, STORAGE) + 8)],
    ['no local header where it should be', (b) => b.writeUInt32LE(local(b, STORAGE) + 1, central(b, STORAGE) + 42)],
    ['a local header beyond the file', (b) => b.writeUInt32LE(0xfffffffe, central(b, STORAGE) + 42)],
    [
      'a member that reaches into the directory',
      (b) => {
        for (const field of [20, 24]) b.writeUInt32LE(b.length, central(b, 'archive/version') + field);
      },
    ],
    [
      'a member that reaches into the next',
      (b) => {
        for (const field of [20, 24]) b.writeUInt32LE(500, central(b, STORAGE) + field);
      },
    ],
    [
      'two members over the same bytes',
      (b) => {
        b.writeUInt32LE(local(b, STORAGE), central(b, 'archive/version') + 42);
      },
    ],
    ['a huge extra field', (b) => b.writeUInt16LE(0xffff, local(b, STORAGE) + 28)],
    ['a member on another disk', (b) => b.writeUInt16LE(1, central(b, STORAGE) + 34)],
    ['a pickle that does not have its checksum', (b) => b.writeUInt32LE(1, central(b, 'archive/data.pkl') + 16)],
    ['weights that do not have their checksum', (b) => b.writeUInt32LE(1, central(b, STORAGE) + 16)],
  ])('with %s is refused as corrupt', (_, change) => {
    expect(refusal(changed(change)).code).toBe('CHECKPOINT_CORRUPT');
  });

  it.each<[string, (bytes: Buffer) => void, RegExp]>([
    ['compressed members', (b) => b.writeUInt16LE(8, central(b, STORAGE) + 10), /is compressed \(method 8\)/],
    ['encrypted members', (b) => b.writeUInt16LE(0x0809, central(b, STORAGE) + 8), /is encrypted/],
    ['strongly encrypted members', (b) => b.writeUInt16LE(0x0848, central(b, STORAGE) + 8), /is encrypted/],
    ['several disks', (b) => b.writeUInt16LE(1, b.lastIndexOf(END) + 4), /one part of a split/],
    ['a big-endian machine', (b) => b.write('bigbig', b.indexOf('little'), 'latin1'), /byte order "bigbig"/],
  ])('with %s is refused as unsupported, saying so', (_, change, message) => {
    const error = refusal(changed(change));
    expect(error.code).toBe('CHECKPOINT_UNSUPPORTED');
    expect(error.message).toMatch(message);
  });

  it('of two members with the same name is refused', () => {
    const path = scratch.path();
    const pickle = new PickleWriter().protocol().raw('}.').bytes();
    const member = { name: 'archive/data.pkl', parts: [pickle] };
    writeStoredZip(path, [member, member]);
    expect(refusal(readFileSync(path))).toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringMatching(/"archive\/data.pkl" occurs twice/),
    });
  });

  it('of two models, of none, or of a TorchScript program is refused', () => {
    const empty = new PickleWriter().protocol().raw('}.').bytes();
    const archive = (...names: string[]) => {
      const path = scratch.path();
      writeStoredZip(
        path,
        names.map((name) => ({ name, parts: [empty] })),
      );
      return refusal(readFileSync(path));
    };
    expect(archive('a/data.pkl', 'b/data.pkl')).toMatchObject({ code: 'CHECKPOINT_UNSUPPORTED' });
    expect(archive('a/b/data.pkl')).toMatchObject({ code: 'CHECKPOINT_UNSUPPORTED' });
    expect(archive('data.pkl').message).toMatch(/0 members called/);
    expect(archive('a/data.pkl', 'a/constants.pkl').message).toMatch(/TorchScript/);
  });

  it('is bounded in members, pickle and file size', () => {
    expect(refusal(soundArchive(), { entries: 3 }).code).toBe('CHECKPOINT_LIMIT');
    expect(refusal(soundArchive(), { headerSizeBytes: 20 }).code).toBe('CHECKPOINT_LIMIT');
    expect(refusal(soundArchive(), { fileSizeBytes: 100 }).code).toBe('CHECKPOINT_TOO_LARGE');
  });

  it('may announce 2^53 members without being believed', () => {
    const bytes = changed((b) => {
      for (const field of [8, 10]) b.writeUInt16LE(0xffff, b.lastIndexOf(END) + field);
      for (const field of [24, 32]) b.writeBigUInt64LE(2n ** 53n - 1n, b.lastIndexOf(END64) + field);
    });
    expect(refusal(bytes).code).toBe('CHECKPOINT_LIMIT');
  });
});

describe('a path', () => {
  it('that leads nowhere or to a folder is not found', () => {
    const code = (path: string) => {
      try {
        openCheckpoint(path);
      } catch (error) {
        return (error as AppError).code;
      }
      return null;
    };
    expect(code(scratch.path())).toBe('CHECKPOINT_NOT_FOUND');
    expect(code(scratch.folder)).toBe('CHECKPOINT_NOT_FOUND');
    expect(code('/dev/zero')).toBe('CHECKPOINT_NOT_FOUND');
    const pipe = scratch.path('pipe');
    execFileSync('mkfifo', [pipe]);
    expect(code(pipe)).toBe('CHECKPOINT_NOT_FOUND');
  });

  it('to a file of something else is told so', () => {
    expect(refusal(Buffer.alloc(0)).message).toMatch(/is empty/);
    expect(refusal(Buffer.from('RIFF....WAVEfmt ')).message).toMatch(/begins with bytes 52494646/);
    expect(refusal(Buffer.from('{"a": 1}')).code).toBe('CHECKPOINT_UNSUPPORTED');
  });
});
