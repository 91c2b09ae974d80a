import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type AudioFormat, SynthesizeAnswer } from '../../api/synthesis.js';
import { pcm16, wavStreamHeader } from '../../audio/wav.js';
import { AppError } from '../../errors.js';
import type { SpeechEvent } from '../../jobs/speech-queue.js';
import type { TimbreMetrics } from '../../metrics.js';
import type { GatewayOptions } from '../app.js';
import type { AudioStore, StoredAudio } from '../audio-store.js';
import { parseSynthesisInput, type SynthesisInput } from '../synthesis-input.js';
import { audioContentType, sendAudio } from './audio.js';

type AudioEvent = SpeechEvent & { type: 'audio' };

/** `POST /synthesize`, and `GET` with a query for browsers and quick tries. */
export function registerSynthesizeRoutes(app: FastifyInstance, options: GatewayOptions): void {
  const handler = (request: FastifyRequest, reply: FastifyReply) => synthesize(options, request, reply);
  app.post('/synthesize', { schema: ANSWER }, handler);
  // HEAD would synthesise for nothing.
  app.get('/synthesize', { schema: ANSWER, exposeHeadRoute: false }, handler);
}

/** Of the JSON answer; audio passes as it is. */
const ANSWER = { response: { 200: SynthesizeAnswer } };

async function synthesize(options: GatewayOptions, request: FastifyRequest, reply: FastifyReply) {
  const { config, queue, catalog, audioStore, metrics, draining } = options;
  if (draining.aborted) {
    throw new AppError('SHUTTING_DOWN', 'the server is shutting down; send the request to another one, or again later');
  }
  const input = parseSynthesisInput({
    query: request.query,
    body: request.body,
    accept: request.headers.accept,
    defaultVoice: config.defaultVoice ?? catalog.defaultVoice,
    maxTextCharacters: config.maxTextCharacters,
    defaultSeed: config.defaultSeed,
  });
  metrics.characters.inc({}, input.textCharacters);
  reply.header('x-timbre-seed', String(input.speech.seed)).header('cache-control', 'no-store');

  const cancel = cancelWhenGone(reply, config.requestTimeoutMs);
  const { signal } = cancel;
  const events = measured(queue.submit({ id: request.id, request: input.speech }, { signal }), metrics, signal);
  const audio = onlyAudio(events);

  if (input.answer === 'stream') {
    // Waiting for the first audio lets everything that fails before it be an ordinary answer.
    const first = await audio.next();
    if (first.done)
      throw new AppError('SYNTHESIS_FAILED', 'the engine made no audio for this text; try another wording');
    reply
      .type(audioContentType(input.format))
      .header('x-timbre-sample-rate', String(first.value.sampleRateHz))
      .header('x-timbre-faults', String(first.value.faults ?? 0))
      .header('x-accel-buffering', 'no');
    const bytes = encodeStream(first.value, audio, input.format, () => cancel.whileReaderWaits(config.readerTimeoutMs));
    return reply.send(Readable.from(bytes, { objectMode: false, highWaterMark: config.audioBufferBytes }));
  }

  const { stored, durationMs, faults } = await store(audio, audioStore, input);
  cancel.done();
  reply.header('x-timbre-faults', String(faults));
  if (input.answer === 'audio')
    return sendAudio(stored, request, reply.header('x-timbre-duration-ms', String(durationMs)));
  const answer: SynthesizeAnswer = {
    audio_url: `${config.publicUrl?.replace(/\/+$/, '') ?? ownUrl(request)}/audio/${stored.fileName}`,
    duration_ms: durationMs,
    request_id: request.id,
  };
  return answer;
}

/** The address the caller used; HTTP/1.0 callers do not say it. */
function ownUrl(request: FastifyRequest): string {
  const { localAddress, localPort } = request.socket;
  return `${request.protocol}://${request.host || `${localAddress}:${localPort}`}`;
}

/** A signal that aborts when the caller leaves, when the time is over, or when a reader takes nothing for too long. */
function cancelWhenGone(reply: FastifyReply, timeoutMs: number) {
  const abort = new AbortController();
  const timer = setTimeout(() => {
    abort.abort(
      new AppError('REQUEST_TIMEOUT', `the synthesis took longer than ${timeoutMs / 1000} s; send a shorter text`),
    );
    // A stream has begun its answer: all that is left to say is that it ends here.
    if (reply.raw.headersSent) reply.raw.destroy();
  }, timeoutMs);
  reply.raw.once('close', () => {
    clearTimeout(timer);
    if (!reply.raw.writableFinished) abort.abort(new AppError('REQUEST_CANCELLED', 'the caller left before the end'));
  });
  return {
    signal: abort.signal,
    done: () => clearTimeout(timer),
    /** Starts the reader's time; the function it returns ends it. */
    whileReaderWaits(readerTimeoutMs: number): () => void {
      const stalled = setTimeout(() => {
        abort.abort(new AppError('REQUEST_TIMEOUT', 'the reader of the stream took nothing for too long'));
        reply.raw.destroy();
      }, readerTimeoutMs);
      return () => clearTimeout(stalled);
    },
  };
}

async function* onlyAudio(events: AsyncIterable<SpeechEvent>): AsyncGenerator<AudioEvent, void, undefined> {
  for await (const event of events) if (event.type === 'audio') yield event;
}

async function* encodeStream(
  first: AudioEvent,
  rest: AsyncGenerator<AudioEvent, void, undefined>,
  format: AudioFormat,
  startReaderTimer: () => () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let stopTimer = startReaderTimer();
  try {
    if (format === 'wav') yield wavStreamHeader(first.sampleRateHz);
    yield pcm16(first.samples);
    stopTimer();
    for await (const { samples } of rest) {
      stopTimer = startReaderTimer();
      yield pcm16(samples);
      stopTimer();
    }
  } finally {
    stopTimer();
    await rest.return();
  }
}

/** Writes the audio to a file as it is made, so that long texts need no memory. */
async function store(
  audio: AsyncGenerator<AudioEvent, void, undefined>,
  audioStore: AudioStore,
  { format }: SynthesisInput,
): Promise<{ stored: StoredAudio; durationMs: number; faults: number }> {
  const first = await audio.next();
  if (first.done) throw new AppError('SYNTHESIS_FAILED', 'the engine made no audio for this text; try another wording');
  const { sampleRateHz } = first.value;
  try {
    const writer = await audioStore.create(format, sampleRateHz);
    try {
      let lengthSamples = first.value.samples.length;
      let faults = first.value.faults ?? 0;
      await writer.append(pcm16(first.value.samples));
      for await (const { samples, faults: counted = 0 } of audio) {
        lengthSamples += samples.length;
        faults = Math.max(faults, counted);
        await writer.append(pcm16(samples));
      }
      return { stored: await writer.finish(), durationMs: Math.round((lengthSamples / sampleRateHz) * 1000), faults };
    } finally {
      await writer.discard();
    }
  } finally {
    await audio.return();
  }
}

/** Passes events on and counts: time to the first audio, real-time factor from the start of the work, the outcome. */
async function* measured(
  events: AsyncIterable<SpeechEvent>,
  metrics: TimbreMetrics,
  signal: AbortSignal,
): AsyncGenerator<SpeechEvent, void, undefined> {
  const askedMs = performance.now();
  let startedMs = askedMs;
  let audioSeconds = 0;
  let outcome = 'cancelled';
  try {
    for await (const event of events) {
      if (event.type === 'started') startedMs = performance.now();
      else {
        if (audioSeconds === 0) metrics.firstAudioSeconds.observe((performance.now() - askedMs) / 1000);
        audioSeconds += event.samples.length / event.sampleRateHz;
      }
      yield event;
    }
    outcome = 'ok';
    if (audioSeconds > 0) metrics.realTimeFactor.observe((performance.now() - startedMs) / 1000 / audioSeconds);
  } catch (error) {
    if (!signal.aborted) outcome = error instanceof AppError ? error.code : 'INTERNAL';
    throw error;
  } finally {
    metrics.syntheses.inc({ outcome });
    metrics.audioSeconds.inc({}, audioSeconds);
  }
}
