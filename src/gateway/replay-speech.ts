import { createAigcLabel } from '../audio/label.js';
import { AppError } from '../errors.js';
import type { GatewayOptions } from './app.js';
import { callerOf } from './authentication.js';
import { type AllowedSpeech, callFacts, type OpenSpeech, type SpeechCall, type SpeechPiece } from './speech.js';
import type { KeptSpeech } from './speech-cache.js';

/**
 * Answers with speech that was made before as if it were made now: let in and on record first, and labelled with this
 * request's own number.
 *
 * Throws what {@link CallLedger.serve} throws, and `SHUTTING_DOWN`.
 */
export async function replaySpeech(
  { config, calls, metrics, draining, speechCache }: GatewayOptions,
  call: SpeechCall,
  allowed: AllowedSpeech,
  kept: KeptSpeech,
): Promise<OpenSpeech> {
  if (draining.aborted) {
    throw new AppError('SHUTTING_DOWN', 'the server is shutting down; send the request to another one, or again later');
  }
  const caller = callerOf(call.request);
  try {
    const served = await calls.serve(caller, callFacts(call, allowed), kept.outcome);
    call.request.rateHeaders = served.headers;
  } catch (error) {
    if (error instanceof AppError && error.code === 'UNAUTHENTICATED') speechCache.forget(caller.tenantId);
    throw error;
  }
  metrics.characters.inc({}, call.textCharacters);
  metrics.syntheses.inc({ outcome: 'ok' });
  metrics.audioSeconds.inc({}, kept.outcome.audioMs / 1000);

  const head = kept.label.head(createAigcLabel({ producer: config.contentProducer, produceId: call.id }));
  const { stream, pieces, contentType, extension, inputHz, outputHz, lengthSamples, faults } = kept;
  return {
    contentType,
    extension,
    inputHz,
    outputHz,
    lengthSamples,
    faults,
    marks: [],
    fileHeader: () => null,
    whole: [head, stream.subarray(kept.label.headBytes)],
    pieces: replayPieces(pieces, head, kept.label.headBytes),
  };
}

/** The pieces as they were, with another head in place of the first `headBytes`. */
async function* replayPieces(
  pieces: readonly SpeechPiece[],
  head: Uint8Array,
  headBytes: number,
): AsyncGenerator<SpeechPiece, void, undefined> {
  let begin = head;
  let left = headBytes;
  for (const { bytes, ...facts } of pieces) {
    const sound = bytes.subarray(Math.min(left, bytes.length));
    left -= bytes.length - sound.length;
    yield { ...facts, bytes: begin.length === 0 ? sound : Buffer.concat([begin, sound]) };
    begin = new Uint8Array();
  }
}
