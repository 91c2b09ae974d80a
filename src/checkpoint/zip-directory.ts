import { AppError } from '../errors.js';
import type { CheckpointLimits } from './checkpoint-limits.js';
import type { FileReader } from './file-reader.js';

/** One member of a zip archive whose bytes lie in the file as they are. */
export interface ZipEntry {
  readonly name: string;
  /** Where its data begins in the file. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** CRC-32 of the data; 0 also means "not computed" (torch can be told to leave it out). */
  readonly crc32: number;
}

const END_SIGNATURE = 0x06054b50;
const END64_SIGNATURE = 0x06064b50;
const END64_LOCATOR_SIGNATURE = 0x07064b50;
const CENTRAL_SIGNATURE = 0x02014b50;
/** The last two bytes of a local header's signature; the first two may be upstream's version tag (see open-checkpoint). */
const LOCAL_SIGNATURE_HIGH = 0x0403;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const END64_BYTES = 56;
const LOCATOR_BYTES = 20;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_NAME_BYTES = 1024;
/** Average room for one record of the central directory: its 46 bytes, a name, a zip64 field. */
const CENTRAL_BYTES_PER_ENTRY = 1200;

const UINT16_MAX = 0xffff;
const UINT32_MAX = 0xffffffff;

const FLAG_ENCRYPTED = 0x2041; // encrypted, strong encryption, masked headers
const FLAG_DESCRIPTOR = 0x8; // sizes stand behind the data, so the local header may hold zeros

/**
 * Reads the directory of a zip archive of stored (uncompressed) members, trusting nothing: the central directory and
 * every local header must agree, members must lie inside the file without overlapping, and names must differ.
 * Throws `CHECKPOINT_CORRUPT`, `CHECKPOINT_LIMIT` (too many members) or `CHECKPOINT_UNSUPPORTED` (compressed, encrypted
 * or split archives).
 */
export function readZipDirectory(file: FileReader, limits: CheckpointLimits): Map<string, ZipEntry> {
  const end = readEnd(file);
  if (end.entries > limits.entries) {
    throw new AppError(
      'CHECKPOINT_LIMIT',
      `checkpoint "${file.path}" lists ${end.entries} members; expected at most ${limits.entries}`,
    );
  }
  if (end.sizeBytes > end.entries * CENTRAL_BYTES_PER_ENTRY) {
    throw corrupt(file, `its directory has ${end.sizeBytes} bytes for ${end.entries} members`);
  }
  const directory = Buffer.alloc(end.sizeBytes);
  file.read(directory, end.offset);

  const records: CentralRecord[] = [];
  let position = 0;
  for (let i = 0; i < end.entries; i++) {
    const record = readCentralRecord(file, directory, position);
    records.push(record);
    position += record.recordBytes;
  }
  if (position !== directory.length) throw corrupt(file, 'its directory holds more than the members it announces');

  records.sort((a, b) => a.localOffset - b.localOffset);
  const entries = new Map<string, ZipEntry>();
  let previousEnd = 0;
  for (const record of records) {
    if (record.localOffset < previousEnd) throw corrupt(file, `member ${quote(record.name)} overlaps another`);
    const offset = checkLocalHeader(file, record);
    previousEnd = offset + record.sizeBytes;
    if (previousEnd > end.offset) {
      throw corrupt(file, `member ${quote(record.name)} reaches beyond the data (${previousEnd} > ${end.offset})`);
    }
    if (entries.has(record.name)) throw corrupt(file, `member ${quote(record.name)} occurs twice`);
    entries.set(record.name, { name: record.name, offset, sizeBytes: record.sizeBytes, crc32: record.crc32 });
  }
  return entries;
}

interface DirectoryEnd {
  readonly entries: number;
  readonly sizeBytes: number;
  readonly offset: number;
}

function readEnd(file: FileReader): DirectoryEnd {
  if (file.sizeBytes < END_BYTES) throw corrupt(file, `it has only ${file.sizeBytes} bytes`);
  // The end record stands at the end of the file, before a comment of at most 65,535 bytes.
  const tail = Buffer.alloc(Math.min(file.sizeBytes, END_BYTES + UINT16_MAX + LOCATOR_BYTES));
  const tailOffset = file.sizeBytes - tail.length;
  file.read(tail, tailOffset);
  let at = tail.length - END_BYTES;
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === END_SIGNATURE && tail.readUInt16LE(at + 20) === tail.length - at - 22)
  ) {
    at--;
  }
  if (at < 0) throw corrupt(file, 'the directory at its end is missing, so it is probably truncated; fetch it again');

  const disks = [tail.readUInt16LE(at + 4), tail.readUInt16LE(at + 6)];
  let entries = tail.readUInt16LE(at + 10);
  let entriesHere = tail.readUInt16LE(at + 8);
  let sizeBytes = tail.readUInt32LE(at + 12);
  let offset = tail.readUInt32LE(at + 16);
  let directoryEnd = tailOffset + at;

  const locator = at - LOCATOR_BYTES;
  if (locator >= 0 && tail.readUInt32LE(locator) === END64_LOCATOR_SIGNATURE) {
    const end64Offset = readUint64(file, tail, locator + 8);
    disks.push(tail.readUInt32LE(locator + 4));
    if (end64Offset + END64_BYTES > tailOffset + locator) throw corrupt(file, 'its zip64 end record lies out of place');
    const end64 = Buffer.alloc(END64_BYTES);
    file.read(end64, end64Offset);
    if (end64.readUInt32LE(0) !== END64_SIGNATURE) throw corrupt(file, 'its zip64 end record is damaged');
    if (end64Offset + 12 + readUint64(file, end64, 4) !== tailOffset + locator) {
      throw corrupt(file, 'its zip64 end record has a wrong size');
    }
    disks.push(end64.readUInt32LE(16), end64.readUInt32LE(20));
    const large = {
      entriesHere: readUint64(file, end64, 24),
      entries: readUint64(file, end64, 32),
      sizeBytes: readUint64(file, end64, 40),
      offset: readUint64(file, end64, 48),
    };
    // Each short field holds either the same value or "see the long one": two readers must not see two archives.
    if (
      (entries !== UINT16_MAX && entries !== large.entries) ||
      (entriesHere !== UINT16_MAX && entriesHere !== large.entriesHere) ||
      (sizeBytes !== UINT32_MAX && sizeBytes !== large.sizeBytes) ||
      (offset !== UINT32_MAX && offset !== large.offset)
    ) {
      throw corrupt(file, 'its two end records contradict each other');
    }
    ({ entries, entriesHere, sizeBytes, offset } = large);
    directoryEnd = end64Offset;
  }
  // torch writes a total of one disk into the locator.
  if (disks.slice(0, 2).some((disk) => disk !== 0) || entriesHere !== entries) {
    throw new AppError('CHECKPOINT_UNSUPPORTED', `checkpoint "${file.path}" is one part of a split zip archive`);
  }
  if (offset + sizeBytes !== directoryEnd) {
    throw corrupt(file, `its directory should end at ${directoryEnd}, but is said to lie at ${offset}+${sizeBytes}`);
  }
  return { entries, sizeBytes, offset };
}

interface CentralRecord extends Omit<ZipEntry, 'offset'> {
  readonly nameBytes: Buffer;
  readonly flags: number;
  readonly localOffset: number;
  readonly recordBytes: number;
}

function readCentralRecord(file: FileReader, directory: Buffer, at: number): CentralRecord {
  if (at + CENTRAL_BYTES > directory.length || directory.readUInt32LE(at) !== CENTRAL_SIGNATURE) {
    throw corrupt(file, 'its directory is damaged');
  }
  const flags = directory.readUInt16LE(at + 8);
  const method = directory.readUInt16LE(at + 10);
  const crc32 = directory.readUInt32LE(at + 16);
  let storedBytes = directory.readUInt32LE(at + 20);
  let sizeBytes = directory.readUInt32LE(at + 24);
  const nameLength = directory.readUInt16LE(at + 28);
  const extraLength = directory.readUInt16LE(at + 30);
  const commentLength = directory.readUInt16LE(at + 32);
  const disk = directory.readUInt16LE(at + 34);
  let localOffset = directory.readUInt32LE(at + 42);
  const recordBytes = CENTRAL_BYTES + nameLength + extraLength + commentLength;
  if (at + recordBytes > directory.length) throw corrupt(file, 'its directory is cut short');
  if (nameLength === 0 || nameLength > MAX_NAME_BYTES) throw corrupt(file, `a member name has ${nameLength} bytes`);
  const nameBytes = directory.subarray(at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameLength);
  const name = nameBytes.toString('utf8');
  if (name.includes('\ufffd') || name.includes('\0')) throw corrupt(file, 'a member name is not UTF-8 text');

  const extra = directory.subarray(at + CENTRAL_BYTES + nameLength, at + CENTRAL_BYTES + nameLength + extraLength);
  const long = [sizeBytes === UINT32_MAX, storedBytes === UINT32_MAX, localOffset === UINT32_MAX] as const;
  if (long.some(Boolean)) {
    const zip64 = extraField(file, extra, 0x0001);
    const count = long.filter(Boolean).length;
    if (zip64 === null || zip64.length < count * 8)
      throw corrupt(file, `the zip64 sizes of ${quote(name)} are missing`);
    let field = 0;
    const next = (): number => readUint64(file, zip64, 8 * field++);
    if (long[0]) sizeBytes = next();
    if (long[1]) storedBytes = next();
    if (long[2]) localOffset = next();
  }
  if ((flags & FLAG_ENCRYPTED) !== 0) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `member ${quote(name)} of checkpoint "${file.path}" is encrypted; expected a file as torch.save writes it`,
    );
  }
  if (method !== 0) {
    throw new AppError(
      'CHECKPOINT_UNSUPPORTED',
      `member ${quote(name)} of checkpoint "${file.path}" is compressed (method ${method}); torch.save stores members as they are, so unpack the archive or save the model again`,
    );
  }
  if (storedBytes !== sizeBytes) {
    throw corrupt(file, `member ${quote(name)} has two sizes (${storedBytes} and ${sizeBytes})`);
  }
  if (disk !== 0) throw corrupt(file, `member ${quote(name)} lies on another disk`);
  return { name, nameBytes, flags, crc32, sizeBytes, localOffset, recordBytes };
}

/** Compares a local header with its central record and returns where the data begins. */
function checkLocalHeader(file: FileReader, record: CentralRecord): number {
  const header = Buffer.alloc(LOCAL_BYTES + record.nameBytes.length);
  file.read(header, record.localOffset);
  const signed =
    record.localOffset === 0
      ? header.readUInt16LE(2) === LOCAL_SIGNATURE_HIGH
      : header.readUInt32LE(0) === LOCAL_SIGNATURE;
  if (!signed) throw corrupt(file, `no member begins where ${quote(record.name)} should`);
  const flags = header.readUInt16LE(6);
  const nameLength = header.readUInt16LE(26);
  const extraLength = header.readUInt16LE(28);
  const sameName = nameLength === record.nameBytes.length && header.subarray(LOCAL_BYTES).equals(record.nameBytes);
  if (!sameName || flags !== record.flags || header.readUInt16LE(8) !== 0) {
    throw corrupt(file, `the two headers of member ${quote(record.name)} contradict each other`);
  }
  const offset = record.localOffset + LOCAL_BYTES + nameLength + extraLength;
  let storedBytes = header.readUInt32LE(18);
  let sizeBytes = header.readUInt32LE(22);
  const deferred = (flags & FLAG_DESCRIPTOR) !== 0;
  if (storedBytes === UINT32_MAX || sizeBytes === UINT32_MAX) {
    const extra = Buffer.alloc(extraLength);
    file.read(extra, record.localOffset + LOCAL_BYTES + nameLength);
    const zip64 = extraField(file, extra, 0x0001);
    if (zip64 === null || zip64.length < 16)
      throw corrupt(file, `the zip64 sizes of ${quote(record.name)} are missing`);
    sizeBytes = readUint64(file, zip64, 0);
    storedBytes = readUint64(file, zip64, 8);
  }
  const agrees = storedBytes === record.sizeBytes && sizeBytes === record.sizeBytes;
  const absent = deferred && storedBytes === 0 && sizeBytes === 0;
  if (!agrees && !absent) {
    throw corrupt(
      file,
      `member ${quote(record.name)} is said to have ${record.sizeBytes} bytes in one place and ${sizeBytes} in another`,
    );
  }
  return offset;
}

function extraField(file: FileReader, extra: Buffer, id: number): Buffer | null {
  let at = 0;
  while (at + 4 <= extra.length) {
    const length = extra.readUInt16LE(at + 2);
    if (at + 4 + length > extra.length) throw corrupt(file, 'an extra field is cut short');
    if (extra.readUInt16LE(at) === id) return extra.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
  return null;
}

function readUint64(file: FileReader, bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(file, `it names a position or size of ${value} bytes`);
  return Number(value);
}

function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}

function corrupt(file: FileReader, what: string): AppError {
  return new AppError('CHECKPOINT_CORRUPT', `checkpoint "${file.path}" is not a sound zip archive: ${what}`);
}
