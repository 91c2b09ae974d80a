import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AudioStore, type AudioStoreOptions, type StoredAudio } from './audio-store.js';

let folder: string;
let nowMs: number;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'timbre-audio-')), 'audio');
  nowMs = 1_000_000;
});

afterEach(() => {
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

function open(options: Partial<AudioStoreOptions> = {}): Promise<AudioStore> {
  return AudioStore.open({ folder, ttlMs: 1000, maxBytes: 1000, now: () => nowMs, ...options });
}

async function put(store: AudioStore, sizeBytes: number): Promise<StoredAudio> {
  const writer = await store.create('pcm');
  try {
    await writer.append(new Uint8Array(sizeBytes));
    return await writer.finish(null);
  } finally {
    await writer.discard();
  }
}

describe('the audio store', () => {
  it('shows a file when it is finished, not before', async () => {
    const store = await open();
    const writer = await store.create('wav');
    await writer.append(new Uint8Array(10));
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/\.sealed\.part$/)]);
    const { fileName, sizeBytes, path } = await writer.finish(null);
    expect(readdirSync(folder)).toEqual([basename(path)]);
    expect(store.find(fileName).sizeBytes).toBe(sizeBytes);
    expect([sizeBytes, store.totalBytes]).toEqual([10, 10]);
    await writer.discard();
    expect(store.totalBytes).toBe(10);
    store.close();
  });

  it('forgets what is discarded', async () => {
    const store = await open();
    const writer = await store.create('wav');
    await writer.append(new Uint8Array(10));
    await writer.discard();
    expect([readdirSync(folder), store.totalBytes]).toEqual([[], 0]);
  });

  it('removes files whose time is over', async () => {
    const store = await open();
    const old = await put(store, 10);
    nowMs += 600;
    const young = await put(store, 10);
    nowMs += 400;
    expect(() => store.find(old.fileName)).toThrow('there is no such audio');
    expect(store.find(young.fileName)).toMatchObject({ fileName: young.fileName, path: young.path, sizeBytes: 10 });
    await store.sweep();
    expect([readdirSync(folder), store.totalBytes]).toEqual([[basename(young.path)], 10]);
  });

  it('makes room by removing the oldest, and refuses what cannot fit', async () => {
    const store = await open();
    const files = [await put(store, 400), await put(store, 400), await put(store, 400)];
    expect(readdirSync(folder).sort()).toEqual(
      files
        .slice(1)
        .map((file) => basename(file.path))
        .sort(),
    );
    expect(store.totalBytes).toBe(800);
    await expect(put(store, 1001)).rejects.toMatchObject({ code: 'AUDIO_TOO_LARGE' });
    const writer = await store.create('pcm');
    await writer.append(new Uint8Array(900));
    await expect(writer.append(new Uint8Array(200))).rejects.toMatchObject({ code: 'AUDIO_TOO_LARGE' });
    await writer.discard();
    expect(store.totalBytes).toBe(0);
  });

  it('keeps the files of an earlier run until their time is over, and clears what was left unfinished', async () => {
    const first = await open({ now: Date.now, ttlMs: 60_000 });
    const kept = await put(first, 10);
    const over = await put(first, 20);
    utimesSync(over.path, new Date(0), new Date(0));
    const part = join(folder, `${'A'.repeat(43)}.sealed.part`);
    writeFileSync(part, 'x');
    utimesSync(part, new Date(0), new Date(0));
    writeFileSync(join(folder, 'README'), 'not ours');
    first.close();
    const second = await open({ now: Date.now, ttlMs: 60_000 });
    expect(second.find(kept.fileName).sizeBytes).toBe(10);
    expect(second.totalBytes).toBe(10);
    expect(readdirSync(folder).sort()).toEqual(['README', basename(kept.path)].sort());
  });

  it('gives back what was written, by range too, with the header that came last', async () => {
    const store = await open({ maxBytes: 1_000_000 });
    for (const sizeBytes of [0, 10, 65_535, 65_536, 65_537, 200_000]) {
      const bytes = randomBytes(sizeBytes);
      const writer = await store.create('wav');
      for (let start = 0; start < sizeBytes; start += 7001) await writer.append(bytes.subarray(start, start + 7001));
      const header = randomBytes(Math.min(8, sizeBytes));
      const stored = await writer.finish(header);
      header.copy(bytes);
      const read = async (start: number, end: number) => {
        const parts: Buffer[] = [];
        for await (const part of store.find(stored.fileName).read({ start, end })) parts.push(part);
        return Buffer.concat(parts);
      };
      expect((await read(0, sizeBytes)).equals(bytes)).toBe(true);
      const [start, end] = [Math.floor(sizeBytes / 3), Math.floor((sizeBytes * 2) / 3)];
      expect((await read(start, end)).equals(bytes.subarray(start, end))).toBe(true);
    }
    store.close();
  });

  it('tells whoever takes the folder neither what was said nor the name that opens it', async () => {
    const store = await open({ maxBytes: 1_000_000 });
    const writer = await store.create('wav');
    const spoken = Buffer.from('RIFF spoken words '.repeat(10_000));
    await writer.append(spoken);
    const { fileName, path } = await writer.finish(null);
    store.close();
    const stolen = readFileSync(path);
    expect(stolen.includes('RIFF')).toBe(false);
    expect(stolen.includes('spoken')).toBe(false);
    expect(path).not.toContain(fileName.slice(0, 22));
    // Who has the name after a restart still hears it; a changed file is not played.
    const second = await open({ maxBytes: 1_000_000 });
    const heard: Buffer[] = [];
    for await (const part of second.find(fileName).read({ start: 0, end: spoken.length })) heard.push(part);
    expect(Buffer.concat(heard).equals(spoken)).toBe(true);
    stolen[100] = (stolen[100] ?? 0) ^ 1;
    writeFileSync(path, stolen);
    await expect(second.find(fileName).read({ start: 0, end: 10 }).next()).rejects.toMatchObject({
      code: 'VAULT_CORRUPT',
    });
    second.close();
  });
});
