import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { TimbreClient, type WebSocketConstructor } from './timbre-client.js';

let gateway: TestGateway;
let client: TimbreClient;

beforeEach(async () => {
  gateway = await startTestGateway();
  const baseUrl = await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  client = new TimbreClient({ baseUrl, WebSocket: WebSocket as unknown as WebSocketConstructor });
});

afterEach(async () => {
  await gateway.close();
});

describe('the client', () => {
  it('speaks a text and gives the audio as it comes', async () => {
    const { contentType, sampleRateHz, audio } = await client.speak('sentences=100 ms=100 every=20', { format: 'pcm' });
    expect([contentType, sampleRateHz]).toEqual(['audio/pcm', 16_000]);
    const pieces: number[] = [];
    for await (const bytes of audio) pieces.push(bytes.length);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(320_000);
  });

  it('throws what the server said', async () => {
    await expect(client.speak('hi', { speaker_id: 'nobody' })).rejects.toMatchObject({
      name: 'TimbreError',
      code: 'VOICE_NOT_FOUND',
      status: 404,
    });
  });

  it('streams text in and audio out', async () => {
    const stream = await client.openStream();
    stream.send({ type: 'start', voice: 'demo', seed: 3 });
    stream.send({ type: 'text', text: 'ms=100. ' });
    stream.send({ type: 'end' });
    let bytes = 0;
    const types: string[] = [];
    for await (const item of stream) {
      types.push(item.type);
      if (item.type === 'audio') bytes += item.bytes.length;
      if (item.type === 'done') break;
    }
    expect(bytes).toBeGreaterThanOrEqual(3200);
    expect(types).toEqual(expect.arrayContaining(['started', 'chunk', 'audio', 'alignment', 'done']));
  });
});
