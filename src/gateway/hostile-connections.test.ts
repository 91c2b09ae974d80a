import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';

let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
});

const CONNECTIONS = 1000;

describe('a thousand connections that trickle, say nothing, are half-open, or never read', () => {
  it('cost bounded memory, and others are served', async () => {
    gateway = await startTestGateway({}, { concurrency: 2, maxWaiting: 400 });
    const url = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    const port = Number(new URL(url).port);
    const text = encodeURIComponent('sentences=1000000 ms=2000 every=20');
    const behaviours: ((socket: Socket) => void)[] = [
      () => {},
      // Half-open: our side has ended and waits for an answer that it will not read.
      (socket) => {
        socket.pause();
        socket.end(`GET /synthesize?stream=true&text=${text} HTTP/1.1\r\nHost: x\r\n\r\n`);
      },
      (socket) => socket.write('GET /healthz HTTP/1.1\r\nX-Slow: '),
      (socket) =>
        socket.write(
          'POST /synthesize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"text"',
        ),
      (socket) => {
        socket.pause();
        socket.write(`GET /synthesize?stream=true&text=${text} HTTP/1.1\r\nHost: x\r\n\r\n`);
      },
    ];
    const before = process.memoryUsage().rss;
    const sockets: Socket[] = [];
    const behave = async (i: number) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => {});
      sockets[i] = socket;
      await once(socket, 'connect');
      behaviours[i % behaviours.length]?.(socket);
    };
    try {
      for (let i = 0; i < CONNECTIONS; i += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => behave(i + k)));
      for (let round = 0; round < 5; round++) {
        // One byte more from each that trickles.
        for (let i = 2; i < sockets.length; i += 5) sockets[i]?.write('x');
        for (let i = 3; i < sockets.length; i += 5) sockets[i]?.write('x');
        const answer = await fetch(`${url}/healthz`);
        expect(answer.status).toBe(200);
      }
      // Two syntheses may run and 400 wait: the rest of those who never read were refused.
      expect(gateway.queue.depth.running).toBeLessThanOrEqual(2);
      expect(gateway.queue.depth.waiting).toBeLessThanOrEqual(400);
      const grown = (process.memoryUsage().rss - before) / 1e6;
      // Both ends of each connection are in this process.
      expect(grown).toBeLessThan(300);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    const deadline = Date.now() + 20_000;
    while (gateway.queue.depth.running > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(gateway.queue.depth).toEqual({ running: 0, waiting: 0 });
  });
});
