import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { connectSocket, type SocketClient } from '../../test/fixtures/socket-client.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';

let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
});

async function open(path: string): Promise<SocketClient> {
  gateway = await startTestGateway({}, { concurrency: 4, maxWaiting: 100 });
  const url = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  return await connectSocket(`${url}/v1/text-to-speech/${path}`);
}

function audioOf({ received }: SocketClient, contextId?: string): Buffer {
  return Buffer.concat(
    received
      .filter((message) => !Buffer.isBuffer(message) && message['contextId'] === contextId)
      .map((message) => Buffer.from(String((Buffer.isBuffer(message) ? null : message['audio']) ?? ''), 'base64')),
  );
}

describe('stream-input', () => {
  it('speaks text as it comes, with times that add up, and ends with isFinal and 1000', async () => {
    const client = await open('demo/stream-input?output_format=pcm_16000&model_id=any');
    client.send({ text: ' ', voice_settings: { stability: 0.5, similarity_boost: 0.8 }, xi_api_key: 'k' });
    client.send({ text: 'abc ms=100. ' });
    const first = await client.next(({ audio }) => typeof audio === 'string' && audio !== '');
    expect(first).toMatchObject({ isFinal: null });
    client.send({ text: 'd ms=50' });
    client.send({ text: '' });
    expect(await client.next(({ isFinal }) => isFinal === true)).toMatchObject({ audio: null });
    expect((await client.closed).code).toBe(1000);
    expect(audioOf(client)).toHaveLength(450 * 32);
    const alignments = client.received
      .map((message) => (Buffer.isBuffer(message) ? null : message['alignment']))
      .filter(
        (
          value,
        ): value is {
          chars: string[];
          charStartTimesMs: number[];
          charDurationsMs: number[];
          charsDurationsMs: number[];
        } => value !== null && value !== undefined,
      );
    expect(alignments.map(({ chars }) => chars.join('')).join('')).toBe(' abc ms=100. d ms=50');
    expect(alignments[0]?.charsDurationsMs).toEqual(alignments[0]?.charDurationsMs);
    // Summed as clients sum them, message by message, the times are those of the audio.
    const total = alignments.reduce(
      (sum, { charStartTimesMs: s, charDurationsMs: d }) => sum + s.at(-1)! + d.at(-1)!,
      0,
    );
    expect(total).toBe(450);
  });

  it('speaks at once what is flushed', async () => {
    const client = await open('demo/stream-input?output_format=pcm_16000');
    client.send({ text: 'ms=70', flush: true });
    await client.next(({ alignment }) => alignment !== null && alignment !== undefined);
    await client.next(({ audio }) => audio !== '' && audioOf(client).length >= 70 * 32);
    client.socket.close();
  });

  it('tells errors as clients expect and closes with another code than 1000', async () => {
    const client = await open('nobody/stream-input');
    client.send({ text: 'hello there.' });
    expect(await client.next(({ error }) => error !== undefined)).toMatchObject({
      error: 'voice_not_found',
      message: expect.any(String),
      code: 1008,
    });
    expect((await client.closed).code).toBe(1008);
  });

  it('refuses what is not a message of the protocol', async () => {
    const client = await open('demo/stream-input');
    client.send({ text: 5 });
    expect(await client.next(({ error }) => error !== undefined)).toMatchObject({ error: 'invalid_request' });
    expect((await client.closed).code).toBe(1008);
  });
});

describe('multi-stream-input', () => {
  it('keeps contexts apart, and closes when each has ended', async () => {
    const client = await open('demo/multi-stream-input?output_format=pcm_16000');
    client.send({ text: 'ms=40. ', context_id: 'one' });
    client.send({ text: 'ms=60. ', context_id: 'two' });
    client.send({ text: '', context_id: 'two' });
    client.send({ context_id: 'one', close_context: true });
    expect(await client.next(({ contextId, isFinal }) => contextId === 'one' && isFinal === true)).toMatchObject({
      is_final: true,
    });
    client.send({ close_socket: true });
    await client.next(({ contextId, isFinal }) => contextId === 'two' && isFinal === true);
    expect((await client.closed).code).toBe(1000);
    // 40 and 60 ms, each perhaps with the pause behind it: the end of the text came later.
    expect([40 * 32, 140 * 32]).toContain(audioOf(client, 'one').length);
    expect([60 * 32, 160 * 32]).toContain(audioOf(client, 'two').length);
  });

  it('survives any messages in any order, and closes when asked', async () => {
    const first = await open('demo/multi-stream-input?output_format=pcm_16000');
    const { url } = first.socket;
    const id = fc.constantFrom('a', 'b', undefined);
    const message = fc.record(
      {
        context_id: id,
        text: fc.constantFrom('hi. ', 'ms=10', '', ' ', null),
        flush: fc.boolean(),
        close_context: fc.boolean(),
        try_trigger_generation: fc.boolean(),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 15 }), async (messages) => {
        const client = await connectSocket(url);
        for (const sent of messages) client.send(sent);
        client.send({ close_socket: true });
        await client.closed;
        for (const got of client.received) expect(Buffer.isBuffer(got) ? 'binary' : 'json').toBe('json');
      }),
      { numRuns: 15 },
    );
  });
});
