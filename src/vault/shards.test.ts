import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  openShards,
  SHARD_BYTES,
  SHARD_OVERHEAD_BYTES,
  type ShardKey,
  sealShards,
  storedRange,
  storedSize,
} from './shards.js';

const STORED = SHARD_BYTES + SHARD_OVERHEAD_BYTES;

async function* pieces(bytes: Uint8Array, cuts: readonly number[] = []): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts.map((part) => Math.floor(part * bytes.length)).sort((a, b) => a - b), bytes.length]) {
    if (cut > from) yield bytes.subarray(from, cut);
    from = Math.max(from, cut);
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

function newKey(): ShardKey {
  return { key: randomBytes(32), context: 'tenant object' };
}

function open(stored: Uint8Array, key: ShardKey, sizeBytes: number, start = 0, end = sizeBytes): Promise<Buffer> {
  return collect(openShards(pieces(stored), key, { sizeBytes, start, end }));
}

/** Sizes around the ends of shards, which is where mistakes are. */
const size = fc.oneof(
  fc.constantFrom(0, 1, SHARD_BYTES - 1, SHARD_BYTES, SHARD_BYTES + 1, 2 * SHARD_BYTES, 3 * SHARD_BYTES + 7),
  fc.integer({ min: 0, max: 3 * SHARD_BYTES }),
);
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
const RUNS = { numRuns: 60 };

describe('shards', () => {
  it('give back what was written, however it came in pieces, in the size that was foretold', async () => {
    await fc.assert(
      fc.asyncProperty(size, cuts, cuts, async (length, inCuts, outCuts) => {
        const plain = randomBytes(length);
        const key = newKey();
        const stored = await collect(sealShards(pieces(plain, inCuts), key));
        expect(stored.length).toBe(storedSize(length));
        const range = { sizeBytes: length, start: 0, end: length };
        expect((await collect(openShards(pieces(stored, outCuts), key, range))).equals(plain)).toBe(true);
      }),
      RUNS,
    );
  });

  it('give back any range from just the stored bytes it needs', async () => {
    await fc.assert(
      fc.asyncProperty(
        size,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (length, a, b) => {
          const plain = randomBytes(length);
          const key = newKey();
          const stored = await collect(sealShards(pieces(plain), key));
          const [start, end] = [Math.floor(a * length), Math.floor(b * length)].sort((x, y) => x - y) as [
            number,
            number,
          ];
          const range = storedRange(length, start, end);
          expect(range.end - range.start).toBeLessThanOrEqual(end - start + 2 * STORED);
          const part = await open(stored.subarray(range.start, range.end), key, length, start, end);
          expect(part.equals(plain.subarray(start, end))).toBe(true);
        },
      ),
      RUNS,
    );
  });

  it('show a changed bit anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(size, fc.nat(), fc.integer({ min: 0, max: 7 }), async (length, place, bit) => {
        const key = newKey();
        const stored = await collect(sealShards(pieces(randomBytes(length)), key));
        const at = place % stored.length;
        stored[at] = (stored[at] ?? 0) ^ (1 << bit);
        await expect(open(stored, key, length)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
      }),
      RUNS,
    );
  });

  it('show that they were cut short, also at the end of a shard, also when the length was changed with them', async () => {
    await fc.assert(
      fc.asyncProperty(size, fc.nat(), async (length, place) => {
        const key = newKey();
        const stored = await collect(sealShards(pieces(randomBytes(length)), key));
        const kept = place % stored.length;
        await expect(open(stored.subarray(0, kept), key, length)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
      }),
      RUNS,
    );
    const key = newKey();
    const stored = await collect(sealShards(pieces(randomBytes(3 * SHARD_BYTES)), key));
    for (const shards of [1, 2]) {
      const shorter = open(stored.subarray(0, shards * STORED), key, shards * SHARD_BYTES);
      await expect(shorter).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
    }
  });

  it('show that they were made longer', async () => {
    const key = newKey();
    const stored = await collect(sealShards(pieces(randomBytes(SHARD_BYTES)), key));
    const longer = Buffer.concat([stored, stored]);
    await expect(open(longer, key, SHARD_BYTES)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
    await expect(open(longer, key, 2 * SHARD_BYTES)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
  });

  it('show that they were put in another order', async () => {
    const key = newKey();
    const stored = await collect(sealShards(pieces(randomBytes(4 * SHARD_BYTES)), key));
    const shards = Array.from({ length: 4 }, (_, index) => stored.subarray(index * STORED, (index + 1) * STORED));
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), async (order) => {
        const mixed = Buffer.concat(order.map((index) => shards[index] ?? Buffer.alloc(0)));
        const opened = open(mixed, key, 4 * SHARD_BYTES);
        if (order.every((index, place) => index === place)) await opened;
        else await expect(opened).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
      }),
      RUNS,
    );
  });

  it('fit neither another key nor another object', async () => {
    const key = newKey();
    const stored = await collect(sealShards(pieces(randomBytes(10)), key));
    await expect(open(stored, { ...key, key: randomBytes(32) }, 10)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
    await expect(open(stored, { ...key, context: 'other' }, 10)).rejects.toMatchObject({ code: 'VAULT_CORRUPT' });
  });
});
