import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SynthesizeAnswer } from '../../api/synthesis.js';
import type { GatewayOptions } from '../app.js';
import type { AudioStore, StoredAudio } from '../audio-store.js';
import { callerOf } from '../authentication.js';
import { type OpenSpeech, openSpeech } from '../speech.js';
import { cancelWhenGone, sendSpeech } from '../speech-reply.js';
import { parseSynthesisInput } from '../synthesis-input.js';
import { sendAudio } from './audio.js';

/** `POST /synthesize`, and `GET` with a query for browsers and quick tries. */
export function registerSynthesizeRoutes(app: FastifyInstance, options: GatewayOptions): void {
  const handler = (request: FastifyRequest, reply: FastifyReply) => synthesize(options, request, reply);
  app.post('/synthesize', ROUTE, handler);
  // HEAD would synthesise for nothing.
  app.get('/synthesize', { ...ROUTE, exposeHeadRoute: false }, handler);
}

/** The schema is of the JSON answer; audio passes as it is. */
const ROUTE = { config: { access: 'speech' }, schema: { response: { 200: SynthesizeAnswer } } } as const;

async function synthesize(options: GatewayOptions, request: FastifyRequest, reply: FastifyReply) {
  const { config, catalog, audioStore } = options;
  const input = parseSynthesisInput({
    query: request.query,
    body: request.body,
    accept: request.headers.accept,
    defaultVoice: config.defaultVoice ?? catalog.defaultVoice,
    maxTextCharacters: config.maxTextCharacters,
    defaultSeed: config.defaultSeed,
  });
  const { tenantId } = callerOf(request);
  const suppliedLexicons = input.lexicons && (await options.lexicons.named(tenantId, input.lexicons));
  reply.header('x-timbre-seed', String(input.speech.seed)).header('cache-control', 'no-store');

  const cancel = cancelWhenGone(reply, config);
  const { textCharacters, repeatable, priority, answer, adapter } = input;
  // Whoever wants the whole audio waits for its end in any case.
  const speech = {
    ...input.speech,
    urgency: answer === 'stream' ? ('stream' as const) : ('batch' as const),
    ...(suppliedLexicons === undefined ? {} : { suppliedLexicons }),
  };
  const output = { ...input.output, layout: answer === 'stream' ? ('stream' as const) : ('file' as const) };
  const call = { request, id: request.id, speech, textCharacters, output, repeatable, priority, cancel, adapter };
  const open = await openSpeech(options, call);
  if (answer === 'stream') return sendSpeech(reply, open, cancel);

  const { stored, durationMs } = await storeSpeech(open, audioStore);
  cancel.done();
  reply.header('x-timbre-faults', String(open.faults));
  if (answer === 'audio') return sendAudio(stored, request, reply.header('x-timbre-duration-ms', String(durationMs)));
  const body: SynthesizeAnswer = {
    audio_url: audioUrl(config, request, stored),
    duration_ms: durationMs,
    request_id: request.id,
    ...(open.marks.length === 0 ? {} : { marks: open.marks.map(({ name, timeMs }) => ({ name, time_ms: timeMs })) }),
  };
  return body;
}

/** Where a finished file is: at the configured address, or the one that the caller used. */
export function audioUrl(
  { publicUrl }: Pick<GatewayOptions['config'], 'publicUrl'>,
  request: FastifyRequest,
  { fileName }: StoredAudio,
): string {
  return `${publicUrl?.replace(/\/{1,9}$/, '') ?? ownUrl(request)}/audio/${fileName}`;
}

/** The address the caller used; HTTP/1.0 callers do not say it. */
function ownUrl(request: FastifyRequest): string {
  const { localAddress, localPort } = request.socket;
  return `${request.protocol}://${request.host || `${localAddress}:${localPort}`}`;
}

/** Writes the audio to a file as it is made, so that long texts need no memory. */
export async function storeSpeech(
  open: OpenSpeech,
  audioStore: AudioStore,
): Promise<{ readonly stored: StoredAudio; readonly durationMs: number }> {
  try {
    const writer = await audioStore.create(open.extension);
    try {
      for await (const { bytes } of open.pieces) await writer.append(bytes);
      const stored = await writer.finish(open.fileHeader());
      return { stored, durationMs: Math.round((open.lengthSamples / open.inputHz) * 1000) };
    } finally {
      await writer.discard();
    }
  } finally {
    await open.pieces.return();
  }
}
