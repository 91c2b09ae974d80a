import { closeSync, openSync, writeSync } from 'node:fs';
import { crc32 } from '../src/checkpoint/crc32.js';

/** Writes members one after the other; `parts` are drawn lazily, so that a member's data need not be in memory. */
export interface StoredZipMember {
  readonly name: string;
  readonly parts: Iterable<Uint8Array>;
}

const ALIGNMENT_BYTES = 64;
/** Sizes stand behind the data, and names are UTF-8: the flags that torch sets. */
const FLAGS = 0x0808;

/**
 * Writes a zip of stored members as torch does: data at multiples of 64 bytes (padded by an extra field "FB"), sizes
 * and CRC-32 in a descriptor behind the data, a zip64 end record beside the short one. `tag` replaces the first two
 * bytes, as upstream's later versions do. Members and the archive stay below 4 GiB.
 */
export function writeStoredZip(path: string, members: Iterable<StoredZipMember>, tag = 'PK'): void {
  const fd = openSync(path, 'w');
  try {
    let position = 0;
    const put = (bytes: Uint8Array): void => {
      let done = 0;
      while (done < bytes.length) done += writeSync(fd, bytes, done);
      position += bytes.length;
    };
    const directory: Buffer[] = [];
    for (const { name, parts } of members) {
      const start = position;
      put(localHeader(name, start));
      let sum = 0;
      let size = 0;
      for (const part of parts) {
        sum = crc32(part, sum);
        size += part.length;
        put(part);
      }
      put(uint32s(0x08074b50, sum, size, size));
      directory.push(centralRecord(name, sum, size, start));
    }
    const records = Buffer.concat(directory);
    const offset = position;
    put(records);
    put(endRecords(directory.length, records.length, offset));
    if (tag !== 'PK') writeSync(fd, Buffer.from(tag, 'latin1'), 0, 2, 0);
  } finally {
    closeSync(fd);
  }
}

function localHeader(name: string, start: number): Buffer {
  const nameBytes = Buffer.from(name);
  const dataAt = start + 30 + nameBytes.length + 4;
  const padding = (ALIGNMENT_BYTES - (dataAt % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(FLAGS, 6);
  header.writeUInt16LE(nameBytes.length, 26);
  header.writeUInt16LE(4 + padding, 28);
  const extra = Buffer.alloc(4 + padding, 'Z');
  extra.write('FB', 0, 'latin1');
  extra.writeUInt16LE(padding, 2);
  return Buffer.concat([header, nameBytes, extra]);
}

function centralRecord(name: string, sum: number, size: number, start: number): Buffer {
  const nameBytes = Buffer.from(name);
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(FLAGS, 8);
  record.writeUInt32LE(sum, 16);
  record.writeUInt32LE(size, 20);
  record.writeUInt32LE(size, 24);
  record.writeUInt16LE(nameBytes.length, 28);
  record.writeUInt32LE(start, 42);
  return Buffer.concat([record, nameBytes]);
}

function endRecords(count: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeUInt16LE(0x031e, 12);
  end.writeUInt16LE(45, 14);
  end.writeBigUInt64LE(BigInt(count), 24);
  end.writeBigUInt64LE(BigInt(count), 32);
  end.writeBigUInt64LE(BigInt(size), 40);
  end.writeBigUInt64LE(BigInt(offset), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(offset + size), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.writeUInt16LE(Math.min(count, 0xffff), 84);
  end.writeUInt16LE(Math.min(count, 0xffff), 86);
  end.writeUInt32LE(size, 88);
  end.writeUInt32LE(offset, 92);
  return end;
}

function uint32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => void bytes.writeUInt32LE(value, i * 4));
  return bytes;
}
