import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../test/fixtures/test-gateway.js';
import { decodeAudio } from '../audio/decode.js';
import { createEncoder } from '../audio/encode/encoder.js';
import { createAigcLabel } from '../audio/label.js';
import { createWatermarker } from '../audio/watermark.js';

let gateway: TestGateway;

beforeEach(async () => {
  gateway = await startTestGateway();
});

afterEach(async () => {
  await gateway.close();
});

function verify(payload: Uint8Array, type = 'audio/wav') {
  return gateway.app.inject({
    method: 'POST',
    url: '/v1/verify',
    headers: { 'content-type': type },
    payload: Buffer.from(payload),
  });
}

const clip = readFileSync(new URL('../audio/fixtures/demo-speech-en.flac', import.meta.url));

describe('POST /v1/verify', () => {
  it('reads back the label of every container that can hold one, as /synthesize wrote it', async () => {
    for (const format of ['wav', 'mp3', 'opus', 'aac', 'flac', 'vorbis']) {
      for (const answer of ['stream=true', 'stream=false']) {
        const made = await gateway.app.inject({
          url: `/synthesize?text=ms%3D600&format=${format}&${answer}`,
          headers: { accept: 'audio/*', 'x-request-id': 'order-17' },
        });
        const { made_by_ai, label } = (await verify(made.rawPayload)).json<{ made_by_ai: boolean; label: unknown }>();
        expect([format, answer, made_by_ai, label]).toMatchObject([
          format,
          answer,
          true,
          { Label: '1', ContentProducer: 'tester', ProduceID: 'order-17' },
        ]);
      }
    }
  });

  it('finds the watermark where there is no label, and neither in what is not marked', async () => {
    const { channels, sampleRateHz } = await decodeAudio(clip);
    const samples = channels[0] ?? new Float32Array();
    const marker = createWatermarker(sampleRateHz);
    const marked = Float32Array.from([...marker.push(samples), ...marker.finish()]);
    for (const [encoding, type] of [
      ['mp3', 'audio/mpeg'],
      ['aac', 'audio/aac'],
    ] as const) {
      const encoder = await createEncoder({
        encoding,
        inputHz: sampleRateHz,
        label: null,
        layout: 'stream',
        bitrateKbps: 64,
      });
      const made = Buffer.concat([encoder.encode(marked), encoder.finish()]);
      expect((await verify(made, type)).json()).toMatchObject({
        made_by_ai: true,
        label: null,
        watermark: { found: true, threshold: 6 },
      });
    }
    expect((await verify(clip, 'application/octet-stream')).json()).toMatchObject({
      made_by_ai: false,
      label: null,
      watermark: { found: false },
      duration_ms: 3200,
    });
  });

  it('reads labels of other makers, and is not fooled by text that looks like one', async () => {
    const { channels, sampleRateHz } = await decodeAudio(clip);
    const label = { ...createAigcLabel({ producer: '别人', produceId: '1' }), Label: '2' as const };
    for (const [written, made, read] of [
      [label, false, { Label: '2', ContentProducer: '别人' }],
      [{ ...label, Label: 'x"}' as '2' }, false, null],
    ] as const) {
      const encoder = await createEncoder({
        encoding: 'flac',
        inputHz: sampleRateHz,
        label: written,
        layout: 'stream',
      });
      const answer = await verify(Buffer.concat([encoder.encode(channels[0]!), encoder.finish()]));
      const body = answer.json<{ made_by_ai: boolean; label: object | null }>();
      expect(body.made_by_ai).toBe(made);
      if (read !== null) expect(body.label).toMatchObject(read);
    }
  });

  it('refuses what is no audio', async () => {
    expect((await verify(Buffer.from('hello'))).json()).toMatchObject({ error: { code: 'AUDIO_UNREADABLE' } });
    expect((await verify(Buffer.alloc(0))).statusCode).toBe(400);
    const json = await gateway.app.inject({ method: 'POST', url: '/v1/verify', payload: { text: 'x' } });
    expect([json.statusCode, json.json()]).toMatchObject([415, { error: { message: /audio file/ } }]);
  });
});

describe('the audible cue', () => {
  it('comes before the speech, after it, or both, and counts in the duration', async () => {
    for (const [audibleCue, ms] of [
      ['off', 600],
      ['start', 600 + 980],
      ['end', 600 + 980],
      ['both', 600 + 1960],
    ] as const) {
      await gateway.close();
      gateway = await startTestGateway({ audibleCue });
      expect((await gateway.app.inject('/synthesize?text=ms%3D600')).json()).toMatchObject({ duration_ms: ms });
    }
  });
});
