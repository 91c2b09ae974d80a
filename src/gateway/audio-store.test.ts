import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/\.wav\.part$/)]);
    const { fileName, sizeBytes } = await writer.finish(null);
    expect(readdirSync(folder)).toEqual([fileName]);
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
    expect(store.find(young.fileName)).toEqual(young);
    await store.sweep();
    expect([readdirSync(folder), store.totalBytes]).toEqual([[young.fileName], 10]);
  });

  it('makes room by removing the oldest, and refuses what cannot fit', async () => {
    const store = await open();
    const files = [await put(store, 400), await put(store, 400), await put(store, 400)];
    expect(readdirSync(folder).sort()).toEqual([files[1]?.fileName, files[2]?.fileName].sort());
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
    const part = join(folder, `${'A'.repeat(22)}.wav.part`);
    writeFileSync(part, 'x');
    utimesSync(part, new Date(0), new Date(0));
    writeFileSync(join(folder, 'README'), 'not ours');
    first.close();
    const second = await open({ now: Date.now, ttlMs: 60_000 });
    expect(second.find(kept.fileName).sizeBytes).toBe(10);
    expect(second.totalBytes).toBe(10);
    expect(readdirSync(folder).sort()).toEqual(['README', kept.fileName].sort());
  });
});
