import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { connectSocket, type SocketClient } from '../../test/fixtures/socket-client.js';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';

let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
});

async function open(...options: Parameters<typeof startTestGateway>): Promise<{ url: string; client: SocketClient }> {
  gateway = await startTestGateway(...options);
  const url = `${await gateway.app.listen({ host: '127.0.0.1', port: 0 })}/v1/stream`;
  return { url, client: await connectSocket(url) };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 4000) throw new Error('the condition never came true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The audio of one context, in bytes. */
function audioOf({ received }: SocketClient, id = 'default'): Buffer {
  const parts = received.filter((message): message is Buffer => Buffer.isBuffer(message));
  return Buffer.concat(
    parts.filter((part) => part.toString('utf8', 1, 1 + part[0]!) === id).map((part) => part.subarray(1 + part[0]!)),
  );
}

const is =
  (type: string, id = 'default') =>
  (message: Record<string, unknown>) =>
    message['type'] === type && (type === 'pong' || message['context_id'] === id);

describe('the stream', () => {
  it('speaks a document when it has ended, and says when its marks are heard', async () => {
    const { client } = await open();
    client.send({ type: 'start', input_type: 'ssml' });
    client.send({ type: 'text', text: '<speak> sentences=2 ' });
    client.send({ type: 'flush' });
    await client.next(is('flushed'));
    client.send({ type: 'text', text: 'ms=100 </speak>' });
    client.send({ type: 'end' });
    expect(await client.next(is('chunk'))).toMatchObject({ text_start: 0, text_end: 35, start_ms: 0 });
    expect(await client.next(is('done'))).toMatchObject({ duration_ms: 200 });
    const told = client.received.map((message) =>
      Buffer.isBuffer(message) ? 'audio' : message['type'] === 'mark' ? [message['name'], message['time_ms']] : null,
    );
    expect(told.filter((each) => each !== null).slice(0, 4)).toEqual([['s0', 0], 'audio', ['s1', 100], 'audio']);
  });

  it('says when which characters of a document are heard, by their places in it as it was sent', async () => {
    const { client } = await open();
    client.send({ type: 'start', input_type: 'ssml' });
    const document = '<speak>spoken=yes <emphasis>ms=400 </emphasis><break time="1s"/> a&amp;b</speak>';
    for (const piece of [document.slice(0, 30), document.slice(30)]) client.send({ type: 'text', text: piece });
    client.send({ type: 'end' });
    const aligned = (await client.next(is('alignment'))) as Record<'characters' | 'start_ms' | 'end_ms', unknown[]>;
    expect(aligned).toMatchObject({
      text_start: 0,
      characters: [...document],
      words: [
        { text_start: 7, text_end: 17, start_ms: 0, end_ms: 300 },
        { text_start: 28, text_end: 34, start_ms: 300, end_ms: 350 },
        { text_start: 65, text_end: 72, start_ms: 350, end_ms: 400 },
      ],
    });
    const timed = aligned.characters.map((character, i) => [character, aligned.start_ms[i], aligned.end_ms[i]]);
    const silent = timed.filter(([, start, end]) => start === end).map(([character]) => character);
    expect(silent.join('')).toMatch(/^<speak>.*<emphasis>.*<\/emphasis><break time="1s"\/>.*<\/speak>$/);
    expect(timed[document.indexOf('&')]).toEqual(['&', 360, 360]);
    expect(timed[document.indexOf('b</')]).toEqual(['b', 390, 400]);
    await client.next(is('done'));
  });

  it('says how far a document was heard that was broken off', async () => {
    const { client } = await open();
    client.send({ type: 'start', input_type: 'ssml' });
    const document = '<speak>spoken=yes sentences=2 <mark name="x"/> ms=1000 every=600 c d</speak>';
    client.send({ type: 'text', text: document });
    client.send({ type: 'end' });
    await until(() => audioOf(client).length > 29_000);
    client.send({ type: 'cancel', played_ms: 900 });
    const { spoken_text } = await client.next(is('cancelled'));
    expect(spoken_text).toBe(document.slice(0, document.indexOf('ms=1000') + 1));
  });

  it('speaks text that comes in pieces, sentence by sentence, before the text has ended', async () => {
    const { client } = await open();
    client.send({ type: 'text', text: 'first ms=' });
    client.send({ type: 'text', text: '100. sec' });
    // Nothing more was sent: the first sentence is heard all the same.
    expect(await client.next(is('started'))).toMatchObject({
      voice: 'demo',
      content_type: 'audio/pcm',
      sample_rate: 16_000,
    });
    expect(await client.next(is('chunk'))).toMatchObject({ text_start: 0, text_end: 13, start_ms: 0 });
    expect(await client.next(is('alignment'))).toMatchObject({ text_start: 0, characters: [...'first ms=100.'] });
    // The pause behind it follows at once, so that no moment of the speech is held back.
    await until(() => audioOf(client).length >= 3200);
    client.send({ type: 'text', text: 'ond ms=50' });
    client.send({ type: 'end' });
    expect(await client.next(is('chunk'))).toMatchObject({ text_start: 13, text_end: 26, start_ms: 400 });
    expect(await client.next(is('done'))).toMatchObject({ duration_ms: 450 });
    // 100 ms, a pause of 300 ms after a sentence, 50 ms.
    expect(audioOf(client)).toHaveLength(450 * 32);
  });

  it('says at a flush what there is, without breaking a word, and goes on', async () => {
    const { client } = await open();
    client.send({ type: 'text', text: 'one ms=20 tw' });
    client.send({ type: 'flush' });
    expect(await client.next(is('chunk'))).toMatchObject({ text_start: 0, text_end: 10 });
    await client.next(is('flushed'));
    client.send({ type: 'text', text: 'o ms=20' });
    client.send({ type: 'end' });
    expect(await client.next(is('chunk'))).toMatchObject({ text_start: 10, text_end: 19 });
    await client.next(is('done'));
  });

  it('answers a cancel with what was spoken, and frees the engine', async () => {
    const { client } = await open();
    client.send({ type: 'text', text: 'ab ms=100. sentences=100000 ms=10 every=20.' });
    await client.next(is('alignment'));
    // Of the first sentence, and of the second.
    await client.next(is('chunk'));
    await client.next(is('chunk'));
    await until(() => gateway.queue.depth.running > 0);
    client.send({ type: 'cancel', played_ms: 100 });
    expect(await client.next(is('cancelled'))).toEqual({
      type: 'cancelled',
      context_id: 'default',
      spoken_text: 'ab ms=100.',
      spoken_text_end: 10,
      spoken_ms: 100,
    });
    await until(() => gateway.queue.depth.running === 0);
    // The name is free again.
    client.send({ type: 'text', text: 'again.' });
    client.send({ type: 'end' });
    await client.next(is('done'));
  });

  it('says how far a sentence was heard that was broken off', async () => {
    const { client } = await open();
    client.send({ type: 'text', text: 'abcdefghij ms=1000.' });
    await client.next(is('alignment'));
    client.send({ type: 'cancel', played_ms: 500 });
    const { spoken_text } = await client.next(is('cancelled'));
    expect(spoken_text).toMatch(/^abcdefgh/);
    expect(String(spoken_text).length).toBeLessThan(15);
  });

  it('keeps contexts apart, in their own voices, rates and formats', async () => {
    const { client } = await open();
    client.send({ type: 'start', context_id: 'a', voice: 'demo-en', sample_rate: 8000, seed: 1 });
    client.send({ type: 'start', context_id: 'b', format: 'mulaw', seed: 2 });
    for (const id of ['a', 'b']) {
      client.send({ type: 'text', context_id: id, text: 'sentences=3 ms=100 every=5' });
      client.send({ type: 'end', context_id: id });
    }
    await client.next(is('done', 'a'));
    await client.next(is('done', 'b'));
    expect(await client.next(is('started', 'a'))).toMatchObject({ voice: 'demo-en', sample_rate: 8000, seed: 1 });
    expect([audioOf(client, 'a').length, audioOf(client, 'b').length]).toEqual([4800, 2400]);
  });

  it('tells what is wrong and goes on', async () => {
    const { client } = await open();
    const cases: [message: unknown, code: string, words: RegExp][] = [
      ['{', 'REQUEST_NOT_JSON', /not valid JSON/],
      [{}, 'REQUEST_INVALID', /no known type/],
      [{ type: 'text' }, 'REQUEST_INVALID', /fields of this text message/],
      [{ type: 'text', text: 'x', extra: 1 }, 'REQUEST_INVALID', /fields of this text message/],
      [{ type: 'flush', context_id: 'none' }, 'REQUEST_INVALID', /no such context/],
      [{ type: 'start', voice: 'alloy', format: 'aiff' }, 'REQUEST_INVALID', /fields of this start message/],
    ];
    for (const [message, code, words] of cases) {
      client.send(message);
      expect(await client.next(({ type }) => type === 'error')).toMatchObject({
        code,
        message: expect.stringMatching(words),
      });
    }
    client.send({ type: 'start', voice: 'nobody' });
    client.send({ type: 'text', text: 'hi.' });
    expect(await client.next(is('error'))).toMatchObject({ code: 'VOICE_NOT_FOUND' });
    client.send({ type: 'ping' });
    await client.next(is('pong'));
    client.send({ type: 'close' });
    expect((await client.closed).code).toBe(1000);
  });

  it('refuses more text than may wait, more contexts than may be open, and floods', async () => {
    const { client } = await open();
    for (let i = 0; i < 17; i++) client.send({ type: 'start', context_id: `c${i}` });
    expect(await client.next(({ type }) => type === 'error')).toMatchObject({
      context_id: 'c16',
      code: 'REQUEST_INVALID',
    });
    client.send({ type: 'text', context_id: 'c0', text: 'x'.repeat(15_000) });
    client.send({ type: 'text', context_id: 'c0', text: 'x'.repeat(6000) });
    expect(await client.next(({ type }) => type === 'error')).toMatchObject({
      context_id: 'c0',
      code: 'TEXT_TOO_LONG',
    });
    for (let i = 0; i < 600; i++) client.send({ type: 'ping' });
    expect(await client.closed).toMatchObject({ code: 1008, reason: expect.stringContaining('messages in a second') });
  });

  it('holds the engine back while its reader is slow, and cuts off one who takes nothing', async () => {
    const { url } = await open({ readerTimeoutMs: 300 });
    const { port, host } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    const key = Buffer.alloc(16).toString('base64');
    socket.write(
      `GET /v1/stream HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    const text = Buffer.from(JSON.stringify({ type: 'text', text: 'sentences=1000000 ms=60000 every=1.' }));
    // A client's frame: masked, with a mask of zeros.
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
    await until(() => gateway.queue.depth.running === 1);
    await until(() => gateway.queue.depth.running === 0);
    const made = /^timbre_audio_seconds_total (\S+)/m.exec(gateway.metrics.registry.render())?.[1];
    expect(Number(made)).toBeLessThan(60 * 60);
    socket.destroy();
  });

  it('ends when its caller leaves, and when the server is about to end', async () => {
    const { client, url } = await open();
    client.send({ type: 'text', text: 'sentences=100000 ms=10 every=5.' });
    await client.next(is('started'));
    client.socket.terminate();
    await until(() => gateway.queue.depth.running === 0);
    const other = await connectSocket(url);
    gateway.draining.abort();
    expect((await other.closed).code).toBe(1001);
  });

  it('survives any messages in any order: every context that ended is done, and the connection answers', async () => {
    const { url } = await open({}, { concurrency: 4, maxWaiting: 200 });
    const id = fc.constantFrom('a', 'b', 'c');
    const message = fc.oneof(
      fc.record({
        type: fc.constant('text'),
        context_id: id,
        text: fc.constantFrom('hello. ', 'ms=10', ' ', '...', 'a.b.c.', '😀.'),
      }),
      fc.record({ type: fc.constantFrom('flush', 'end', 'cancel', 'start', 'nonsense'), context_id: id }),
      fc.constantFrom('{', 'null', '[]', '"text"'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 25 }), async (messages) => {
        const client = await connectSocket(url);
        for (const sent of messages) client.send(sent);
        for (const context of ['a', 'b', 'c']) {
          // Whatever was before: the name can be had, and speaks.
          client.send({ type: 'cancel', context_id: context });
          client.send({ type: 'text', context_id: context, text: 'ms=20.' });
          client.send({ type: 'end', context_id: context });
        }
        client.send({ type: 'ping' });
        await client.next(is('pong'));
        const dones = () => client.received.filter((got) => !Buffer.isBuffer(got) && got['type'] === 'done');
        await until(() =>
          ['a', 'b', 'c'].every((context) =>
            dones().some((got) => !Buffer.isBuffer(got) && got['context_id'] === context),
          ),
        );
        client.socket.close();
        await client.closed;
      }),
      { numRuns: 15 },
    );
    await until(() => gateway.queue.depth.running === 0 && gateway.queue.depth.waiting === 0);
  });

  it('reads frames however they are cut', async () => {
    const { url } = await open();
    const { port, host } = new URL(url);
    const frame = (payload: string, { fin = true, opcode = 1 } = {}) => {
      const bytes = Buffer.from(payload);
      return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
    };
    const text = JSON.stringify({ type: 'text', text: 'ms=30.' });
    const stream = Buffer.concat([
      frame(text.slice(0, 7), { fin: false }),
      frame(text.slice(7), { opcode: 0 }),
      frame(JSON.stringify({ type: 'end' })),
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 10 }), async (cuts) => {
        const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
        const key = Buffer.alloc(16).toString('base64');
        socket.write(
          `GET /v1/stream HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
        );
        let offset = 0;
        for (const cut of [...cuts, stream.length]) {
          socket.write(stream.subarray(offset, offset + cut));
          offset += cut;
          await new Promise((resolve) => setImmediate(resolve));
        }
        let answer = '';
        for await (const data of socket) {
          answer += String(data);
          if (answer.includes('"type":"done"')) break;
        }
        // With the pause behind it, where the end of the text came later.
        expect(answer).toMatch(/"duration_ms":1?30}/);
      }),
      { numRuns: 15 },
    );
  });
});
