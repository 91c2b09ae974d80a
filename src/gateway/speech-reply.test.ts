import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import fastify, { type FastifyReply } from 'fastify';
import { expect, it } from 'vitest';
import type { GatewayOptions } from './app.js';
import { cancelWhenGone, type ReplyCancel } from './speech-reply.js';

const TIMES = { requestTimeoutMs: 60_000, readerTimeoutMs: 60_000, audioBufferBytes: 1 };

/** A request whose caller stays until `leave`; its answer is never sent. */
async function heldRequest(times: Partial<typeof TIMES> = {}) {
  const app = fastify({ forceCloseConnections: true });
  const asked = new Promise<{ reply: FastifyReply; cancel: ReplyCancel }>((resolve) => {
    app.get('/', (_request, reply) => {
      // Of its settings it needs these.
      const config = { ...TIMES, ...times } as GatewayOptions['config'];
      resolve({ reply, cancel: cancelWhenGone(reply, config) });
    });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: here\r\n\r\n');
  const { reply, cancel } = await asked;
  const leave = async () => {
    const closed = once(reply.raw, 'close');
    socket.destroy();
    await closed;
  };
  return { reply, cancel, leave, close: () => app.close() };
}

it('ends what is made when the caller leaves, whether it was asked for before or after', async () => {
  const watched = await heldRequest();
  const { signal } = watched.cancel;
  expect(signal.aborted).toBe(false);
  await watched.leave();
  expect(signal.reason).toMatchObject({ code: 'REQUEST_CANCELLED' });
  await watched.close();

  const late = await heldRequest();
  await late.leave();
  expect(late.cancel.signal.reason).toMatchObject({ code: 'REQUEST_CANCELLED' });
  await late.close();
});

it('ends what is made when its time is over, counted from the request', async () => {
  const held = await heldRequest({ requestTimeoutMs: 20 });
  await new Promise((resolve) => setTimeout(resolve, 30));
  const { signal } = held.cancel;
  if (!signal.aborted) await once(signal, 'abort');
  expect(signal.reason).toMatchObject({ code: 'REQUEST_TIMEOUT' });
  await held.leave();
  await held.close();
});

it('leaves alone what is done, and who has heard all of it', async () => {
  const done = await heldRequest({ requestTimeoutMs: 20 });
  done.cancel.done();
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(done.cancel.signal.aborted).toBe(false);
  const closed = once(done.reply.raw, 'close');
  void done.reply.send('all');
  await closed;
  expect(done.cancel.signal.aborted).toBe(false);
  await done.close();
});
