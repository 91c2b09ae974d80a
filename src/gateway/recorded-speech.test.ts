import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { readChain } from '../audit/verify.js';
import { AppError } from '../errors.js';
import type { SpeechEvent } from '../jobs/speech-queue.js';
import { DEFAULT_TENANT } from '../tenancy/caller.js';
import { recorded } from './recorded-speech.js';

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(async () => {
  await gateway.close();
});

describe('a synthesis and its record', () => {
  const say = (text: string) =>
    gateway.app.inject({ url: `/synthesize?stream=true&format=pcm&text=${encodeURIComponent(text)}` });
  const typesOf = async (request: string): Promise<string[]> => {
    const { database, audit } = gateway.platform;
    await audit.flush();
    const calls = new Map<string, string>();
    const types: string[] = [];
    for await (const { body } of (await readChain(database, DEFAULT_TENANT)).records()) {
      const { id, type, details } = JSON.parse(body);
      if (type === 'speech.started') calls.set(id, details.request);
      if (details.request === request || calls.get(details.call) === request) types.push(type);
    }
    return types;
  };

  it('begin together, and no audio leaves before the record is safe', async () => {
    const { audit } = gateway.platform;
    const { append } = audit;
    let write = (): void => {};
    const written = new Promise<void>((resolve) => {
      write = resolve;
    });
    audit.append = async (entry) => {
      if (entry.type === 'speech.started') await written;
      return append.call(audit, entry);
    };
    try {
      let answered = false;
      const answer = say('ms=100 every=500').finally(() => {
        answered = true;
      });
      // The engine begins, and is done with it.
      await expect.poll(() => gateway.queue.depth.running, { interval: 20, timeout: 20_000 }).toBe(1);
      await expect.poll(() => gateway.queue.depth.running, { timeout: 20_000 }).toBe(0);
      expect(answered).toBe(false);
      write();
      const { statusCode, rawPayload, headers } = await answer;
      expect([statusCode, rawPayload.length]).toEqual([200, 3200]);
      expect(await typesOf(String(headers['x-request-id']))).toEqual(['speech.started', 'speech.ended']);
    } finally {
      audit.append = append;
    }
  });

  it.each([
    ['audio', 'ms=100'],
    ['an error', 'fail-at=0 code=TEXT_UNREADABLE'],
  ])('is answered with AUDIT_UNAVAILABLE in place of %s when the record can be kept nowhere', async (_, text) => {
    const { audit } = gateway.platform;
    const { append } = audit;
    audit.append = () => Promise.reject(new AppError('AUDIT_UNAVAILABLE', 'kept nowhere'));
    try {
      const { statusCode, json, headers } = await say(text);
      expect([statusCode, json().error.code]).toEqual([503, 'AUDIT_UNAVAILABLE']);
      audit.append = append;
      expect(await typesOf(String(headers['x-request-id']))).toEqual([]);
    } finally {
      audit.append = append;
    }
  });
});

it('prepares the first audio once, even where it has no samples', async () => {
  const audio = (length: number): SpeechEvent => ({
    type: 'audio',
    samples: new Float32Array(length),
    sampleRateHz: 16_000,
    sentenceIndex: 0,
    sentenceCount: 1,
  });
  const events = async function* () {
    yield* [audio(0), audio(160), audio(160)];
  };
  const prepared: number[] = [];
  const call = { safe: Promise.resolve(), headers: {}, weight: 1, end: () => {} };
  const passed = recorded(events(), call, new AbortController().signal, async ({ samples }) => {
    prepared.push(samples.length);
  });
  for await (const _ of passed);
  expect(prepared).toEqual([0]);
});
