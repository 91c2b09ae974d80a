import { once } from 'node:events';
import { get, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway, WAV_LABEL_BYTES } from '../../test/fixtures/test-gateway.js';

let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
});

async function listen(...options: Parameters<typeof startTestGateway>): Promise<string> {
  gateway = await startTestGateway(...options);
  return await gateway.app.listen({ host: '127.0.0.1', port: 0 });
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('the condition never came true');
    await setTimeout(5);
  }
}

async function open(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage];
  return response;
}

const encode = encodeURIComponent;

describe('a stream over a socket', () => {
  it('brings each sentence as it is made, not all at the end', async () => {
    const url = await listen();
    const response = await open(`${url}/synthesize?stream=true&text=${encode('sentences=4 ms=50 every=100')}`);
    const arrivalsMs: number[] = [];
    let sizeBytes = 0;
    for await (const bytes of response) {
      arrivalsMs.push(performance.now());
      sizeBytes += bytes.length;
    }
    expect(sizeBytes).toBe(44 + WAV_LABEL_BYTES + 4 * 1600);
    expect((arrivalsMs.at(-1) ?? 0) - (arrivalsMs[0] ?? 0)).toBeGreaterThan(200);
    expect(gateway.metrics.registry.render()).toContain('timbre_syntheses_total{outcome="ok"} 1');
  });

  it('is cancelled when its caller leaves', async () => {
    const url = await listen();
    const response = await open(`${url}/synthesize?stream=true&text=${encode('sentences=100000 ms=10 every=5')}`);
    expect(gateway.queue.depth.running).toBe(1);
    response.destroy();
    await until(() => gateway.queue.depth.running === 0);
    await until(() => gateway.metrics.registry.render().includes('timbre_syntheses_total{outcome="cancelled"} 1'));
    await until(() => gateway.metrics.registry.render().includes('status="499"'));
    expect(gateway.logLines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  it('ends with a broken connection, not a good end, when the engine fails in the middle', async () => {
    const url = await listen();
    const response = await open(`${url}/synthesize?stream=true&text=${encode('sentences=9 fail-at=2 every=20')}`);
    expect(response.statusCode).toBe(200);
    await expect(
      (async () => {
        for await (const _ of response);
      })(),
    ).rejects.toThrow('aborted');
    expect(response.complete).toBe(false);
  });

  it('stops the engine while the reader is slow, and disconnects one who takes nothing', async () => {
    const url = await listen({ readerTimeoutMs: 300 });
    const { port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    // A minute of audio every millisecond fills every buffer on the way; the socket is never read.
    socket.pause();
    socket.write(
      `GET /synthesize?stream=true&text=${encode('sentences=1000000 ms=60000 every=1')} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
    await until(() => gateway.queue.depth.running === 1);
    await until(() => gateway.queue.depth.running === 0);
    // What was made is what the buffers took: far from the 1,000 minutes a second that nobody held back would make.
    await until(() => gateway.metrics.registry.render().includes('timbre_syntheses_total{'));
    const made = /^timbre_audio_seconds_total (\S+)/m.exec(gateway.metrics.registry.render())?.[1];
    expect(Number(made)).toBeLessThan(60 * 60);
    socket.destroy();
  });
});

describe('a caller who leaves before the answer', () => {
  it('frees the engine, and leaves no file behind', async () => {
    const url = await listen();
    const request = httpRequest(`${url}/synthesize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    request.on('error', () => {});
    request.end(JSON.stringify({ text: 'sentences=100000 every=5' }));
    await until(() => gateway.queue.depth.running === 1);
    request.destroy();
    await until(() => gateway.queue.depth.running === 0);
    await until(() => gateway.audioStore.totalBytes === 0);
  });

  it('is taken out of the line while he waits', async () => {
    const url = await listen({}, { concurrency: 1 });
    const first = await open(`${url}/synthesize?stream=true&text=${encode('sentences=100000 every=5')}`);
    const request = get(`${url}/synthesize?text=hi`);
    request.on('error', () => {});
    await until(() => gateway.queue.depth.waiting === 1);
    request.destroy();
    await until(() => gateway.queue.depth.waiting === 0);
    first.destroy();
  });
});

describe('a body that is refused before its end', () => {
  const part = 'x'.repeat(64 * 1024);

  it.each([
    ['by the length it announces', `Content-Length: ${100 * part.length}`, part],
    ['by what has come', 'Transfer-Encoding: chunked', `${part.length.toString(16)}\r\n${part}\r\n`],
  ])('%s, may be sent to its end, and the connection answers what follows', async (_how, header, sent) => {
    const url = await listen();
    const { host, port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    let answers = '';
    socket.on('data', (chunk) => {
      answers += String(chunk);
    });
    let failure: Error | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.write(`POST /synthesize HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${header}\r\n\r\n`);
    for (let i = 0; i < 100; i++) {
      socket.write(sent);
      if (i % 10 === 0) await setTimeout(2);
    }
    await until(() => answers.includes('REQUEST_TOO_LARGE'));
    if (header.startsWith('Transfer')) socket.write('0\r\n\r\n');
    socket.write(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await until(() => answers.includes('HTTP/1.1 200') || failure !== undefined);
    expect(failure).toBeUndefined();
    expect(answers).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });
});

describe('what is hardly HTTP', () => {
  async function raw(bytes: string): Promise<string> {
    const url = await listen();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(bytes);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    return answer;
  }

  it('gets an error of ours when its headers are too large', async () => {
    const answer = await raw(`GET /synthesize?text=${'x'.repeat(200_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 .*"code":"REQUEST_TOO_LARGE"/s);
  });

  it('gets an error of ours when it is not HTTP at all', async () => {
    expect(await raw('hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*"code":"REQUEST_INVALID"/s);
  });

  it('gets a URL with the address it reached when it names no host', async () => {
    const answer = await raw('GET /synthesize?text=hi HTTP/1.0\r\n\r\n');
    expect(answer).toMatch(/"audio_url":"http:\/\/127\.0\.0\.1:\d+\/audio\//);
  });

  it('is told to encode characters that a URL cannot hold', async () => {
    const answer = await raw('GET /synthesize?text=今天 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*percent-encoded/s);
  });

  it('may have 5,000 Chinese characters in the URL', async () => {
    const answer = await raw(
      `GET /synthesize?text=${encode('好'.repeat(5000))} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*"audio_url"/s);
  });
});

describe('a file under /audio', () => {
  it('comes whole, by range, or as headers only', async () => {
    gateway = await startTestGateway();
    const made = await gateway.app.inject('/synthesize?text=ms%3D100&format=pcm');
    const path = new URL(made.json<{ audio_url: string }>().audio_url).pathname;
    const whole = await gateway.app.inject(path);
    expect(whole.headers).toMatchObject({ 'accept-ranges': 'bytes', 'content-length': '3200' });
    const part = await gateway.app.inject({ url: path, headers: { range: 'bytes=44-143' } });
    expect([part.statusCode, part.headers['content-range']]).toEqual([206, 'bytes 44-143/3200']);
    expect(part.rawPayload).toEqual(whole.rawPayload.subarray(44, 144));
    const tail = await gateway.app.inject({ url: path, headers: { range: 'bytes=-4' } });
    expect(tail.rawPayload).toEqual(whole.rawPayload.subarray(-4));
    const beyond = await gateway.app.inject({ url: path, headers: { range: 'bytes=4000-' } });
    expect([beyond.statusCode, beyond.headers['content-range']]).toEqual([416, 'bytes */3200']);
    for (const range of ['bytes=0-1,4-5', 'bytes=5-2', 'items=0-1', 'bytes=-']) {
      const ignored = await gateway.app.inject({ url: path, headers: { range } });
      expect([range, ignored.statusCode, ignored.rawPayload.length]).toEqual([range, 200, 3200]);
    }
    const head = await gateway.app.inject({ method: 'HEAD', url: path });
    expect([head.statusCode, head.headers['content-length'], head.body]).toEqual([200, '3200', '']);
  });
});

describe('the priority of a request', () => {
  it('gives batch work, said by field or header, a tenth of the turns of others, and is one of two', async () => {
    gateway = await startTestGateway({}, { concurrency: 1, maxWaiting: 8 });
    const ended: string[] = [];
    const ask = async (name: string, url: string, headers: Record<string, string> = {}) => {
      const answer = await gateway.app.inject({ url, headers });
      ended.push(name);
      return answer.statusCode;
    };
    // The engine's only place is taken until all have come.
    const text = 'sentences=1000000 every=20';
    const held = gateway.queue.submit({
      id: 'held',
      request: { text, voice: 'demo', language: 'en', speed: 1, seed: 1 },
    });
    await held.next();
    const others = [
      ask('batch by field', '/synthesize?text=every%3D500&priority=batch&stream=true'),
      ask('batch by header', '/synthesize?text=every%3D500&stream=true', { 'x-timbre-priority': 'batch' }),
    ];
    await expect.poll(() => gateway.queue.depth.waiting, { timeout: 20_000 }).toBe(2);
    for (const name of ['one', 'two']) others.push(ask(name, '/synthesize?text=every%3D500&stream=true'));
    await expect.poll(() => gateway.queue.depth.waiting, { timeout: 20_000 }).toBe(4);
    await held.return();
    expect(await Promise.all(others)).toEqual([200, 200, 200, 200]);
    // The first of either begins with nothing owed; the second of the batch ones has to wait for its tenth.
    expect(ended.at(-1)).toMatch(/^batch/);
    expect(ended.slice(0, 3)).toEqual(expect.arrayContaining(['one', 'two']));
    const wrong = await gateway.app.inject({ url: '/synthesize?text=d', headers: { 'x-timbre-priority': 'urgent' } });
    expect([wrong.statusCode, wrong.json().error.code]).toEqual([400, 'REQUEST_INVALID']);
    expect((await gateway.app.inject('/synthesize?text=d&priority=urgent')).statusCode).toBe(400);
  });
});
