import { createHash } from 'node:crypto';
import { pcm16 } from '../audio/wav.js';
import { AppError } from '../errors.js';
import type { AudioEvent, SpeechEvent } from '../jobs/speech-queue.js';
import type { OpenCall } from '../tenancy/call-ledger.js';

/**
 * Passes a synthesis on once the begin of its call is on record, and ends the call with what became of it: the length of
 * the audio, the digest of its samples as 16-bit PCM (whatever the caller gets them encoded as), and the outcome. The
 * synthesis begins while the record is being written, and `prepare` may work on its first audio meanwhile. Throws what
 * `call.safe` rejects with.
 */
export async function* recorded(
  events: AsyncIterable<SpeechEvent>,
  call: Pick<OpenCall, 'safe' | 'end'>,
  signal: AbortSignal,
  prepare: (first: AudioEvent) => Promise<void> = async () => {},
): AsyncGenerator<SpeechEvent, void, undefined> {
  const digest = createHash('sha256');
  let audioMs = 0;
  let begun = false;
  let outcome = 'cancelled';
  try {
    for await (const event of events) {
      if (event.type === 'audio') {
        if (!begun) {
          begun = true;
          await prepare(event);
          await call.safe;
        }
        digest.update(pcm16(event.samples));
        audioMs += (event.samples.length / event.sampleRateHz) * 1000;
      }
      yield event;
    }
    outcome = 'ok';
  } catch (error) {
    outcome = outcomeOf(error, signal);
    // Not even that it failed is said of a call that is not on record.
    await call.safe;
    throw error;
  } finally {
    call.end({ outcome, audioMs, audioDigest: audioMs > 0 ? digest.digest('hex') : null });
  }
}

/** `cancelled` where the caller left; what ended it otherwise, which may be that the voice must stop. */
export function outcomeOf(error: unknown, signal: AbortSignal): string {
  const reason: unknown = signal.aborted ? signal.reason : error;
  if (!(reason instanceof AppError)) return signal.aborted ? 'cancelled' : 'INTERNAL';
  return reason.code === 'REQUEST_CANCELLED' || (signal.aborted && reason.code === 'REQUEST_TIMEOUT')
    ? 'cancelled'
    : reason.code;
}
