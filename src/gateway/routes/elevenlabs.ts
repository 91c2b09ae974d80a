import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ElevenLabsDictionaryLocator, ElevenLabsQuery, ElevenLabsSpeechFields } from '../../api/elevenlabs.js';
import { SPEECH_LANGUAGES } from '../../api/synthesis.js';
import { AppError } from '../../errors.js';
import type { SpeechRequest } from '../../jobs/speech-queue.js';
import { type Alignment, alignText, timedSpans } from '../alignment.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields } from '../check-fields.js';
import { type OpenSpeech, openSpeech, type SpeechOutput } from '../speech.js';
import { cancelWhenGone, collectSpeech, type ReplyCancel, sendPieces, sendSpeech } from '../speech-reply.js';
import { checkText, chooseSeed, isRepeatable } from '../synthesis-input.js';
import { resolveVoice, voiceNamesOf } from '../voice-directory.js';

export const ELEVENLABS_CONFIG = { dialect: 'elevenlabs', access: 'speech' } as const;

const fields = compileFields(ElevenLabsSpeechFields, ['text', 'previous_text', 'next_text']);
const queryFields = compileFields(ElevenLabsQuery);

type Answer = 'audio' | 'timed' | 'timed-stream';

/** ElevenLabs's text-to-speech over HTTP. */
export function registerElevenLabsRoutes(app: FastifyInstance, gateway: GatewayOptions): void {
  const config = ELEVENLABS_CONFIG;
  const paths: readonly [string, Answer][] = [
    ['', 'audio'],
    ['/stream', 'audio'],
    ['/with-timestamps', 'timed'],
    ['/stream/with-timestamps', 'timed-stream'],
  ];
  for (const [path, answer] of paths) {
    app.post<{ Params: { voice_id: string } }>(`/v1/text-to-speech/:voice_id${path}`, { config }, (request, reply) =>
      speak(gateway, request, reply, answer),
    );
  }
}

async function speak(
  gateway: GatewayOptions,
  request: FastifyRequest<{ Params: { voice_id: string } }>,
  reply: FastifyReply,
  answer: Answer,
) {
  const { config } = gateway;
  const given = fields.check(request.body);
  const query = queryFields.check(queryFields.readQuery(request.query));
  const textCharacters = checkText(given.text, config.maxTextCharacters);
  const output = parseOutputFormat(query.output_format);
  const voice = await resolveVoice(request.params.voice_id, voiceNamesOf(gateway, request));
  const seed = chooseSeed(given.seed, config);
  const lexicons = await locatedLexicons(gateway, request, given.pronunciation_dictionary_locators);
  reply.header('cache-control', 'no-store').header('x-timbre-seed', String(seed)).header('request-id', request.id);
  reply.header('character-cost', String(textCharacters));
  const cancel = cancelWhenGone(reply, config);
  const open = await openSpeech(gateway, {
    request,
    id: request.id,
    speech: {
      text: given.text,
      voice,
      language: languageOfCode(given.language_code),
      speed: clampSpeed(given.voice_settings?.speed),
      seed,
      ...lexicons,
    },
    textCharacters,
    output: { ...output, layout: answer === 'timed' ? 'file' : 'stream' },
    repeatable: isRepeatable(given.seed, config),
    cancel,
  });
  if (answer === 'audio') return sendSpeech(reply, open, cancel);
  if (answer === 'timed-stream') return sendTimed(reply, open, cancel, given.text);
  const { bytes, lengthSamples, spoken } = await collectSpeech(open);
  cancel.done();
  const spans = timedSpans(spoken, open.inputHz);
  // Behind the cue, where there is one.
  const startSeconds = spans[0]?.startSeconds ?? 0;
  const endSeconds = spans.at(-1)?.endSeconds ?? lengthSamples / open.inputHz;
  const alignment = renderAlignment(alignText(given.text, { startSeconds, endSeconds }, spans));
  return { audio_base64: bytes.toString('base64'), alignment, normalized_alignment: alignment };
}

/**
 * The tenant's lexicons that a request locates, instead of the usual ones; nothing where it locates none. The first that has
 * a word decides, as theirs do; with us it is the last. Throws `LEXICON_NOT_FOUND`.
 */
export async function locatedLexicons(
  { lexicons }: Pick<GatewayOptions, 'lexicons'>,
  request: FastifyRequest,
  locators: readonly ElevenLabsDictionaryLocator[] | null | undefined,
): Promise<Pick<SpeechRequest, 'suppliedLexicons'>> {
  if (locators === null || locators === undefined || locators.length === 0) return {};
  const names = locators.map(({ pronunciation_dictionary_id: id, version_id: version }) =>
    version === null || version === undefined || version === '' ? id : `${id}@${version}`,
  );
  return { suppliedLexicons: await lexicons.named(callerOf(request).tenantId, names.reverse()) };
}

/**
 * One JSON object a line: audio as it is made, and with the last audio of each sentence the times of its characters, from
 * the beginning of the audio.
 */
function sendTimed(reply: FastifyReply, open: OpenSpeech, cancel: ReplyCancel, text: string): FastifyReply {
  let lengthSamples = 0;
  let toldText = 0;
  let toldSeconds = 0;
  const align = (end: number, endSeconds: number, spans: ReturnType<typeof timedSpans>): Alignment => {
    const startSeconds = toldText === 0 ? (spans[0]?.startSeconds ?? toldSeconds) : toldSeconds;
    const aligned = alignText(text.slice(toldText, end), { startSeconds, endSeconds }, spans, { offset: toldText });
    toldText = end;
    toldSeconds = endSeconds;
    return aligned;
  };
  reply.type('application/json; charset=utf-8');
  const line = (audio: Uint8Array, alignment: Alignment | null) => {
    const rendered = alignment === null ? null : renderAlignment(alignment);
    const value = {
      audio_base64: Buffer.from(audio).toString('base64'),
      alignment: rendered,
      normalized_alignment: rendered,
    };
    return `${JSON.stringify(value)}\n`;
  };
  return sendPieces(reply, open, cancel, {
    piece(piece) {
      lengthSamples += piece.lengthSamples;
      const spans = timedSpans(piece.spoken ?? [], open.inputHz);
      const last = spans.at(-1);
      if (last !== undefined) return line(piece.bytes, align(last.end, last.endSeconds, spans));
      return piece.bytes.length === 0 ? '' : line(piece.bytes, null);
    },
    end: () => {
      const endSeconds = Math.max(toldSeconds, toldText === 0 ? lengthSamples / open.inputHz : 0);
      return toldText < text.length ? line(new Uint8Array(), align(text.length, endSeconds, [])) : '';
    },
  });
}

function renderAlignment({ characters, startSeconds, endSeconds }: Alignment) {
  return {
    characters,
    character_start_times_seconds: startSeconds,
    character_end_times_seconds: endSeconds,
  };
}

const DEFAULT_FORMAT = 'mp3_44100_128';
const FORMATS: Readonly<
  Record<
    string,
    {
      readonly encoding: SpeechOutput['encoding'];
      readonly rates: readonly number[];
      readonly bitrates?: readonly number[];
    }
  >
> = {
  mp3: { encoding: 'mp3', rates: [22050, 24000, 44100], bitrates: [32, 48, 64, 96, 128, 192] },
  opus: { encoding: 'opus', rates: [48000], bitrates: [32, 64, 96, 128, 192] },
  pcm: { encoding: 'pcm', rates: [8000, 16000, 22050, 24000, 32000, 44100, 48000] },
  wav: { encoding: 'wav', rates: [8000, 16000, 22050, 24000, 32000, 44100, 48000] },
  ulaw: { encoding: 'mulaw', rates: [8000] },
  alaw: { encoding: 'alaw', rates: [8000] },
};

/** `CODEC_RATE_BITRATE`, as ElevenLabs writes formats. */
export function parseOutputFormat(name: string | undefined): Omit<SpeechOutput, 'layout'> {
  const [codec = '', rate, bitrate] = (name ?? DEFAULT_FORMAT).split('_');
  const format = FORMATS[codec];
  const outputHz = Number(rate);
  const bitrateKbps = Number(bitrate);
  const fits =
    format?.rates.includes(outputHz) &&
    (format.bitrates === undefined ? bitrate === undefined : format.bitrates.includes(bitrateKbps));
  if (format === undefined || !fits) {
    throw new AppError(
      'REQUEST_INVALID',
      'the output_format is not made here; expected one such as mp3_44100_128, pcm_16000, opus_48000_64, ulaw_8000 or alaw_8000',
    );
  }
  return { encoding: format.encoding, outputHz, ...(format.bitrates === undefined ? {} : { bitrateKbps }) };
}

/** ISO 639-1 codes, with regions cut off; what we do not read as such is told from the text. */
export function languageOfCode(code: string | null | undefined): SpeechRequest['language'] {
  const language = (code ?? '').toLowerCase().split(/[-_]/)[0];
  return SPEECH_LANGUAGES.find((known) => known === language) ?? 'auto';
}

export function clampSpeed(speed: number | null | undefined): number {
  return Math.min(2, Math.max(0.5, speed ?? 1));
}
