import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { OpenAiSpeechFields } from '../../api/openai.js';
import { AppError } from '../../errors.js';
import type { GatewayOptions } from '../app.js';
import { compileFields, FieldError } from '../check-fields.js';
import { openAiError } from '../dialects.js';
import { type OpenSpeech, openSpeech, type SpeechOutput } from '../speech.js';
import { cancelWhenGone, type ReplyCancel, sendPieces, sendSpeech } from '../speech-reply.js';
import { checkText, chooseSeed, isRepeatable } from '../synthesis-input.js';
import { resolveVoice, voiceNamesOf } from '../voice-directory.js';

const CONFIG = { dialect: 'openai', access: 'speech' } as const;
const MAX_INPUT_CHARACTERS = 4096;
/** Semantic tokens of our models: what `usage` counts as output. */
const TOKENS_A_SECOND = 25;

const fields = compileFields(OpenAiSpeechFields, ['input', 'instructions', 'voice']);

const OUTPUTS: Readonly<Record<string, SpeechOutput>> = {
  mp3: { encoding: 'mp3', layout: 'stream' },
  opus: { encoding: 'opus', layout: 'stream' },
  aac: { encoding: 'aac', layout: 'stream' },
  flac: { encoding: 'flac', layout: 'stream' },
  wav: { encoding: 'wav', layout: 'stream' },
  // 24 kHz is not in the answer, so clients take it for granted.
  pcm: { encoding: 'pcm', outputHz: 24_000, layout: 'stream' },
};

/** OpenAI's `/v1/audio/speech` and the list of voices that its other servers have. */
export function registerOpenAiRoutes(app: FastifyInstance, gateway: GatewayOptions): void {
  app.post('/v1/audio/speech', { config: CONFIG }, (request, reply) => speak(gateway, request, reply));
}

async function speak(gateway: GatewayOptions, request: FastifyRequest, reply: FastifyReply) {
  const { config } = gateway;
  const given = fields.check(request.body);
  const textCharacters = checkInput(given.input, config.maxTextCharacters);
  const format = given.response_format ?? 'mp3';
  const output = OUTPUTS[format];
  if (output === undefined) {
    throw new FieldError(
      'MEDIA_TYPE_UNSUPPORTED',
      'response_format',
      `${format} is not made here; expected one of ${Object.keys(OUTPUTS).join(', ')}`,
    );
  }
  const wantsEvents = given.stream_format === 'sse';
  if (wantsEvents && given.model.startsWith('tts-1')) {
    throw new FieldError(
      'REQUEST_INVALID',
      'stream_format',
      'sse is not there for tts-1 and tts-1-hd; use gpt-4o-mini-tts or the name of a model',
    );
  }
  const name = typeof given.voice === 'string' ? given.voice : given.voice.id;
  const resolved = resolveVoice(name, voiceNamesOf(gateway, request));
  const voice = resolved instanceof Promise ? await resolved : resolved;
  const seed = chooseSeed(given.seed, config);
  reply.header('cache-control', 'no-store').header('x-timbre-seed', String(seed));
  const cancel = cancelWhenGone(reply, config);
  const open = await openSpeech(gateway, {
    request,
    id: request.id,
    speech: {
      text: given.input,
      voice,
      language: given.language ?? 'auto',
      speed: Math.min(2, Math.max(0.5, given.speed ?? 1)),
      seed,
    },
    textCharacters,
    output,
    repeatable: isRepeatable(given.seed, config),
    cancel,
    adapter: given.adapter,
  });
  return wantsEvents ? sendEvents(reply, open, cancel, textCharacters) : sendSpeech(reply, open, cancel);
}

function checkInput(input: string, maxTextCharacters: number): number {
  try {
    return checkText(input, Math.min(maxTextCharacters, MAX_INPUT_CHARACTERS));
  } catch (error) {
    // OpenAI's errors name the field.
    if (error instanceof AppError) throw new FieldError(error.code, 'input', error.message);
    throw error;
  }
}

function sendEvents(reply: FastifyReply, open: OpenSpeech, cancel: ReplyCancel, inputTokens: number): FastifyReply {
  let lengthSamples = 0;
  reply.type('text/event-stream; charset=utf-8');
  return sendPieces(reply, open, cancel, {
    piece(piece) {
      lengthSamples += piece.lengthSamples;
      if (piece.bytes.length === 0) return '';
      return event({ type: 'speech.audio.delta', audio: Buffer.from(piece.bytes).toString('base64') });
    },
    end() {
      const outputTokens = Math.round((lengthSamples / open.inputHz) * TOKENS_A_SECOND);
      const usage = {
        input_tokens: inputTokens,
        output_tokens: outputTokens,
        total_tokens: inputTokens + outputTokens,
      };
      return event({ type: 'speech.audio.done', usage });
    },
    failure: (error) => event({ type: 'error', error: openAiError(error) }),
  });
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
