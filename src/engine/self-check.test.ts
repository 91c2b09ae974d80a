import { describe, expect, it } from 'vitest';
import type { SemanticPiece } from './decode-tasks.js';
import { audibleWindows, checkedTokens, seedOfDraw, type TokenFault } from './self-check.js';

/** 30 phonemes said in 90 tokens. */
const prompt = {
  semanticTokens: Int32Array.from({ length: 90 }, (_, index) => (index * 37) % 500),
  phonemeIds: new Int32Array(30),
};

/** Tokens that neither repeat nor occur in the prompt. */
function speech(count: number, from = 500): number[] {
  return Array.from({ length: count }, (_, index) => from + ((index * 101) % 499));
}

interface Heard {
  readonly tokens: number[];
  readonly finished: SemanticPiece['finished'];
  readonly faults: string[];
  readonly seeds: number[];
}

/** Runs a sentence of 20 phonemes (60 tokens at the voice's pace) whose draws are given. */
async function listen(draws: readonly (readonly number[])[], heldTokens = 12, withPrompt = true): Promise<Heard> {
  const faults: string[] = [];
  const seeds: number[] = [];
  async function* decode(seed: number): AsyncGenerator<SemanticPiece, void, undefined> {
    const tokens = draws[seeds.length] ?? [];
    seeds.push(seed);
    for (const token of tokens) yield { tokens: Int32Array.of(token), finished: null };
    yield { tokens: new Int32Array(), finished: 'end' };
  }
  const tokens: number[] = [];
  let finished: SemanticPiece['finished'] = null;
  const checked = checkedTokens(decode, {
    seed: 7,
    expectation: { phonemeCount: 20, prompt: withPrompt ? prompt : null },
    heldTokens,
    onFault: (fault, then) => faults.push(`${fault} ${then}`),
  });
  for await (const piece of checked) {
    tokens.push(...piece.tokens);
    finished = piece.finished;
  }
  return { tokens, finished, faults, seeds };
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

describe('the check of a sentence while it is drawn', () => {
  it('lets a sentence of usual length through, token by token', async () => {
    const good = speech(60);
    expect(await listen([good])).toEqual({ tokens: good, finished: 'end', faults: [], seeds: [7] });
    expect(await listen([good], 12, false)).toMatchObject({ tokens: good, faults: [] });
  });

  it('gives what it held back with the last token of it, not with the next one', async () => {
    let drawn = 0;
    async function* decode(): AsyncGenerator<SemanticPiece, void, undefined> {
      for (const token of speech(60)) {
        drawn += 1;
        yield { tokens: Int32Array.of(token), finished: null };
      }
    }
    const expectation = { phonemeCount: 20, prompt };
    for await (const { tokens } of checkedTokens(decode, { seed: 7, expectation, heldTokens: 12 })) {
      expect([tokens.length, drawn]).toEqual([12, 12]);
      break;
    }
  });

  it('gives a sentence too short once all it held back was there, however its end comes', async () => {
    const short = speech(12);
    const expectation = { phonemeCount: 60, prompt };
    const decodings: SemanticPiece[][] = [
      [{ tokens: Int32Array.from(short), finished: 'end' }],
      [
        { tokens: Int32Array.from(short), finished: null },
        { tokens: new Int32Array(), finished: 'end' },
      ],
    ];
    for (const pieces of decodings) {
      const faults: string[] = [];
      const heard: number[] = [];
      const options = { seed: 7, expectation, heldTokens: 12 };
      const onFault = (fault: string, outcome: string) => faults.push(`${fault} ${outcome}`);
      for await (const { tokens } of checkedTokens(() => asyncOf(pieces), { ...options, onFault }))
        heard.push(...tokens);
      expect([heard, faults]).toEqual([short, ['too_short kept']]);
    }
  });

  it('lets a pause through', async () => {
    const paused = [...speech(30), ...Array.from({ length: 60 }, () => 486), ...speech(20, 520)];
    expect(await listen([paused])).toMatchObject({ tokens: paused, faults: [] });
  });

  it('draws again with the next seed of the ladder what is too short for its text', async () => {
    const good = speech(60);
    expect(await listen([speech(4), good])).toEqual({
      tokens: good,
      finished: 'end',
      faults: ['too_short redrawn'],
      seeds: [seedOfDraw(7, 0), seedOfDraw(7, 1)],
    });
    expect(new Set([0, 1, 2].map((draw) => seedOfDraw(0xffffffff, draw))).size).toBe(3);
  });

  it('draws again what begins with the reference recording', async () => {
    const leaking = [...prompt.semanticTokens.subarray(40, 70), ...speech(40)];
    const good = speech(60);
    expect(await listen([leaking, good], 40)).toMatchObject({ tokens: good, faults: ['leak redrawn'] });
  });

  it.each<[string, number[], TokenFault]>([
    ['goes round in circles', [...speech(20), ...Array.from({ length: 100 }, (_, index) => 10 + (index % 7))], 'loop'],
    ['holds one sound', [...speech(20), ...Array.from({ length: 200 }, () => 3)], 'loop'],
    ['does not end', speech(400).map((token, index) => token * 3 + Math.floor(index / 100)), 'too_long'],
  ])('draws again what %s while nothing of it is heard', async (_what, tokens, fault) => {
    const good = speech(60);
    expect(await listen([tokens, good], 1000)).toMatchObject({ tokens: good, faults: [`${fault} redrawn`] });
  });

  it('ends a sentence that is being heard at its last good token when it goes round in circles', async () => {
    const looping = [...speech(30), ...Array.from({ length: 200 }, (_, index) => 10 + (index % 7))];
    const { tokens, finished, faults, seeds } = await listen([looping]);
    expect(faults).toEqual(['loop cut']);
    expect(seeds).toHaveLength(1);
    expect(finished).toBe('limit');
    expect(tokens).toEqual(looping.slice(0, tokens.length));
    // What was heard before the circle was known for one is heard; nothing of it comes after.
    expect(tokens.length).toBeLessThan(30 + 7 + 50);
  });

  it('draws three times at most, and then gives what it has', async () => {
    const short = speech(5);
    expect(await listen([speech(4), speech(3), short, speech(60)])).toMatchObject({
      tokens: short,
      faults: ['too_short redrawn', 'too_short redrawn', 'too_short kept'],
    });
  });

  it('does not cut a sentence that says what the reference says', async () => {
    const same = [...speech(14), ...prompt.semanticTokens.subarray(0, 46)];
    expect(await listen([same])).toMatchObject({ tokens: same, faults: ['leak kept'] });
  });

  it('passes on what decoding fails with', async () => {
    async function* broken(): AsyncGenerator<SemanticPiece, void, undefined> {
      yield { tokens: Int32Array.of(1), finished: null };
      throw new Error('lost');
    }
    const expectation = { phonemeCount: 20, prompt };
    const read = async () => {
      for await (const _ of checkedTokens(broken, { seed: 1, expectation, heldTokens: 12 }));
    };
    await expect(read()).rejects.toThrow('lost');
  });
});

describe('the check of a waveform', () => {
  const rate = 1000;
  const quiet = (length: number) => new Float32Array(length).fill(1e-4);
  const loud = (length: number) => new Float32Array(length).fill(0.1);

  async function hear(windows: Float32Array[]): Promise<[number[], string]> {
    async function* source(): AsyncGenerator<Float32Array, void, undefined> {
      yield* windows;
    }
    const lengths: number[] = [];
    const checked = audibleWindows(source(), rate);
    for (;;) {
      const next = await checked.next();
      if (next.done) return [lengths, next.value];
      lengths.push(next.value.length);
    }
  }

  it('gives every sample of a sentence with a silent beginning and a silent end', async () => {
    expect(await hear([quiet(300), loud(500), quiet(4000)])).toEqual([[300, 500, 4000], 'audible']);
  });

  it('gives nothing of a sentence that is silent', async () => {
    expect(await hear([quiet(300), quiet(400)])).toEqual([[], 'silent']);
    expect(await hear([quiet(1000), quiet(1000), loud(100)])).toEqual([[], 'silent']);
  });
});
