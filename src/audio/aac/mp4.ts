import { AppError } from '../../errors.js';
import type { DecodedPiece } from '../decoded-piece.js';
import { joined, MOST_FAULTS } from './adts.js';
import { AacFault, BitReader } from './bit-reader.js';
import { type AacConfig, checkKind, readAudioConfig } from './config.js';
import { FrameDecoder } from './frame.js';

/** Of AAC frames that are decoded before others get their turn: a second of speech. */
const FRAMES_A_PIECE = 32;
/** In one box: damaged tables can name the same bytes without end. */
const MOST_BOXES = 65_536;
/** Before the sound, which no bound of its length counts. */
const MOST_SKIPPED_SECONDS = 600;

/**
 * AAC-LC in MP4 (ISO/IEC 14496-12 and -14; also QuickTime): the first track that has it, whole or in fragments, from where the
 * track's edit begins. Frames that the file does not hold any more end it with an error.
 *
 * @throws AppError `AUDIO_UNREADABLE` where there is no such track.
 */
export function* decodeMp4(bytes: Uint8Array): Generator<DecodedPiece> {
  const file = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const track = findTrack(file);
  const { rateIndex, rateHz } = track.config;
  const decoder = new FrameDecoder(rateIndex);
  let skipped = Math.round(Math.min(track.startsAt / track.timescale, MOST_SKIPPED_SECONDS) * rateHz);
  let faults = 0;
  let piece = { frames: [] as Float32Array[][], errors: [] as unknown[] };
  const take = (): DecodedPiece => {
    const all = joined(piece.frames, rateHz, piece.errors);
    piece = { frames: [], errors: [] };
    const skip = Math.min(skipped, all.samplesDecoded);
    skipped -= skip;
    const channelData = all.channelData.map((samples) => samples.subarray(skip));
    return { ...all, channelData, samplesDecoded: all.samplesDecoded - skip };
  };
  for (const { offset, sizeBytes } of track.frames) {
    if (offset + sizeBytes > bytes.length || faults > MOST_FAULTS) {
      piece.errors.push(new AacFault('the file holds no more of its frames'));
      break;
    }
    const before = piece.errors.length;
    const frame = decoder.decode(new BitReader(bytes.subarray(offset, offset + sizeBytes)), piece.errors);
    faults = piece.errors.length > before ? faults + 1 : 0;
    if (frame) piece.frames.push(frame);
    if (piece.frames.length + piece.errors.length >= FRAMES_A_PIECE) yield take();
  }
  yield take();
}

interface Track {
  readonly config: AacConfig;
  readonly timescale: number;
  /** Of the track's time: where what is heard begins. */
  readonly startsAt: number;
  readonly frames: Iterable<Frame>;
}

interface Frame {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A box, without its header. */
interface Box {
  readonly type: string;
  /** Where its header begins. */
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** What a damaged file makes of its tables is read as zeros behind its end. */
class Fields {
  readonly #file: DataView;
  readonly #end: number;
  at: number;

  constructor(file: DataView, box: Box, at = box.start) {
    this.#file = file;
    this.#end = box.end;
    this.at = at;
  }

  get left(): number {
    return this.#end - this.at;
  }

  read(sizeBytes: number): number {
    let value = 0;
    for (const last = this.at + sizeBytes; this.at < last; this.at++) {
      value = 256 * value + (this.at < this.#end ? this.#file.getUint8(this.at) : 0);
    }
    return value;
  }
}

function boxesIn(file: DataView, start: number, end: number): Box[] {
  const boxes: Box[] = [];
  for (let at = start; at + 8 <= end && boxes.length < MOST_BOXES; ) {
    let size = file.getUint32(at);
    const type = typeAt(file, at + 4);
    let header = 8;
    if (size === 1 && at + 16 <= end) {
      size = file.getUint32(at + 8) * 2 ** 32 + file.getUint32(at + 12);
      header = 16;
    } else if (size === 0) size = end - at;
    if (size < header) break;
    boxes.push({ type, at, start: at + header, end: Math.min(end, at + size) });
    at += size;
  }
  return boxes;
}

function typeAt(file: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => file.getUint8(at + i)));
}

/** The box at the end of a path, the first of each kind. */
function boxAt(file: DataView, box: Box, ...path: readonly string[]): Box | null {
  let found: Box | null = box;
  for (const type of path) {
    found = found && (boxesIn(file, found.start, found.end).find((inner) => inner.type === type) ?? null);
  }
  return found;
}

function findTrack(file: DataView): Track {
  const all = { type: '', at: 0, start: 0, end: file.byteLength };
  const movie = boxAt(file, all, 'moov');
  if (!movie) throw unreadable('the MP4 file has no table of its contents (moov); it was cut short, or never finished');
  let kind: string | null = null;
  for (const track of boxesIn(file, movie.start, movie.end).filter(({ type }) => type === 'trak')) {
    const media = boxAt(file, track, 'mdia');
    const handler = media && boxAt(file, media, 'hdlr');
    const samples = media && boxAt(file, media, 'minf', 'stbl');
    if (!handler || !samples || new Fields(file, handler, handler.start + 8).read(4) !== SOUND) continue;
    const descriptions = boxAt(file, samples, 'stsd');
    const entry = descriptions && boxesIn(file, descriptions.start + 8, descriptions.end)[0];
    kind ??= entry?.type ?? null;
    const config = entry && configOf(file, entry);
    if (!config) continue;
    const header = boxAt(file, media, 'mdhd');
    const id = boxAt(file, track, 'tkhd');
    const trackId = id ? new Fields(file, id, id.start + (versionOf(file, id) === 1 ? 20 : 12)).read(4) : 0;
    return {
      config,
      timescale:
        (header && new Fields(file, header, header.start + (versionOf(file, header) === 1 ? 20 : 12)).read(4)) ||
        config.rateHz,
      startsAt: startOf(file, track),
      frames: framesOf(file, samples, movie, trackId),
    };
  }
  if (kind !== null) throw unreadable(`the sound of the MP4 file is ${JSON.stringify(kind)}; expected AAC`);
  throw unreadable('the MP4 file has no sound');
}

/** `soun` */
const SOUND = 0x736f756e;

function versionOf(file: DataView, box: Box): number {
  return box.start < box.end ? file.getUint8(box.start) : 0;
}

/** What the entry of a track's description says of its AAC; null: the track is something else. */
function configOf(file: DataView, entry: Box): AacConfig | null {
  if (entry.type !== 'mp4a') return null;
  const version = new Fields(file, entry, entry.start + 8).read(2);
  // QuickTime puts more before the inner boxes, and those in one of their own.
  const inside = { ...entry, start: entry.start + 28 + (version === 1 ? 16 : version === 2 ? 36 : 0) };
  const descriptor = boxAt(file, inside, 'esds') ?? boxAt(file, inside, 'wave', 'esds');
  if (!descriptor) return null;
  const fields = new Fields(file, descriptor, descriptor.start + 4);
  const open = (tag: number): number | null => {
    if (fields.read(1) !== tag) return null;
    let size = 0;
    for (let i = 0; i < 4; i++) {
      const byte = fields.read(1);
      size = 128 * size + (byte & 127);
      if (byte < 128) break;
    }
    return size;
  };
  if (open(3) === null) return null;
  fields.at += 2;
  const flags = fields.read(1);
  fields.at += (flags & 0x80 ? 2 : 0) + (flags & 0x20 ? 2 : 0);
  if (flags & 0x40) fields.at += fields.read(1);
  if (open(4) === null) return null;
  const objectType = fields.read(1);
  if (objectType !== MPEG4_AUDIO && objectType !== MPEG2_LC) {
    throw unreadable(`the sound of the MP4 file is of MPEG's type 0x${objectType.toString(16)}; expected AAC`);
  }
  fields.at += 12;
  const size = open(5);
  if (size === null) return null;
  const config = Uint8Array.from({ length: Math.min(size, MOST_CONFIG_BYTES) }, () => fields.read(1));
  return checkKind(readAudioConfig(new BitReader(config)));
}

const MPEG4_AUDIO = 0x40;
const MPEG2_LC = 0x67;
const MOST_CONFIG_BYTES = 256;

/** In the time of the track: what an encoder says is before the sound. */
function startOf(file: DataView, track: Box): number {
  const edits = boxAt(file, track, 'edts', 'elst');
  if (!edits) return 0;
  const long = versionOf(file, edits) === 1 ? 8 : 4;
  const fields = new Fields(file, edits, edits.start + 4);
  for (let left = Math.min(fields.read(4), 16); left > 0; left--) {
    fields.read(long);
    const start = fields.read(long);
    fields.read(4);
    // −1: nothing is heard for some time.
    if (start !== 256 ** long - 1) return start;
  }
  return 0;
}

function* framesOf(file: DataView, samples: Box, movie: Box, trackId: number): Generator<Frame> {
  yield* framesInTables(file, samples);
  // Those of a file that was written as it was recorded.
  const defaults = boxesIn(file, movie.start, movie.end)
    .filter(({ type }) => type === 'mvex')
    .flatMap(({ start, end }) => boxesIn(file, start, end))
    .filter((box) => box.type === 'trex' && new Fields(file, box, box.start + 4).read(4) === trackId);
  const trex = defaults[0];
  const usualBytes = trex ? new Fields(file, trex, trex.start + 16).read(4) : 0;
  for (const fragment of boxesIn(file, 0, file.byteLength)) {
    if (fragment.type !== 'moof') continue;
    for (const part of boxesIn(file, fragment.start, fragment.end)) {
      if (part.type === 'traf') yield* framesInFragment(file, part, { trackId, movieAt: fragment.at, usualBytes });
    }
  }
}

/** stsz, stsc, stco or co64: sizes of all frames, how many each chunk has, where chunks begin. */
function* framesInTables(file: DataView, samples: Box): Generator<Frame> {
  const sizes = boxAt(file, samples, 'stsz');
  const runs = boxAt(file, samples, 'stsc');
  const short = boxAt(file, samples, 'stco');
  const places = short ?? boxAt(file, samples, 'co64');
  if (!sizes || !runs || !places) return;
  const size = new Fields(file, sizes, sizes.start + 4);
  const same = size.read(4);
  let left = size.read(4);
  const place = new Fields(file, places, places.start + 4);
  const chunks = place.read(4);
  const run = new Fields(file, runs, runs.start + 8);
  let [nextRun, perChunk, upcoming] = [run.read(4), 0, 0];
  const advance = (): void => {
    perChunk = run.read(4);
    run.read(4);
    upcoming = run.left >= 12 ? run.read(4) : Number.POSITIVE_INFINITY;
  };
  for (let chunk = 1; chunk <= chunks && left > 0 && place.left > 0; chunk++) {
    if (chunk === nextRun) {
      advance();
      nextRun = upcoming;
    }
    let offset = place.read(short ? 4 : 8);
    for (let i = 0; i < perChunk && left > 0; i++, left--) {
      if (same === 0 && size.left <= 0) return;
      const sizeBytes = same || size.read(4);
      yield { offset, sizeBytes };
      offset += sizeBytes;
    }
  }
}

/** tfhd and trun of a fragment. */
function* framesInFragment(
  file: DataView,
  part: Box,
  { trackId, movieAt, usualBytes }: { readonly trackId: number; readonly movieAt: number; readonly usualBytes: number },
): Generator<Frame> {
  const header = boxAt(file, part, 'tfhd');
  if (!header) return;
  const fields = new Fields(file, header, header.start + 1);
  const flags = fields.read(3);
  if (fields.read(4) !== trackId) return;
  const base = flags & 1 ? fields.read(8) : movieAt;
  if (flags & 2) fields.read(4);
  if (flags & 8) fields.read(4);
  const partBytes = flags & 16 ? fields.read(4) : usualBytes;
  let offset = base;
  for (const run of boxesIn(file, part.start, part.end)) {
    if (run.type !== 'trun') continue;
    const table = new Fields(file, run, run.start + 1);
    const has = table.read(3);
    const count = table.read(4);
    if (has & 1) offset = base + (table.read(4) | 0);
    if (has & 4) table.read(4);
    const width = [0x100, 0x200, 0x400, 0x800].filter((flag) => has & flag).length * 4;
    for (let i = 0; i < count && (width === 0 || table.left >= width); i++) {
      if (has & 0x100) table.read(4);
      const sizeBytes = has & 0x200 ? table.read(4) : partBytes;
      if (has & 0x400) table.read(4);
      if (has & 0x800) table.read(4);
      if (offset < 0) return;
      yield { offset, sizeBytes };
      offset += sizeBytes;
    }
  }
}

function unreadable(message: string): AppError {
  return new AppError('AUDIO_UNREADABLE', `${message}; convert the recording to WAV, FLAC or MP3`);
}
