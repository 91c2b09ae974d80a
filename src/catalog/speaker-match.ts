import { AppError } from '../errors.js';
import { cleanText } from './clean-text.js';
import type { RecordingFile, VoiceMaker } from './voice-maker.js';

/** How it was found that the speaker of the statement is that of the recordings; kept with the version. */
export type SpeakerMatch =
  /** The operator's policy lets the tenant use its own recordings: there is no statement. */
  | { readonly method: 'own_recordings' }
  | { readonly method: 'speaker_encoder'; readonly similarity: number; readonly threshold: number }
  /** A person compared them; `similarity` where the encoder was asked all the same. */
  | { readonly method: 'attested'; readonly by: string };

/**
 * Whether who gave the consent is who speaks in the recordings. A recorded statement is compared by the speaker encoder;
 * where no model brought one, or the consent is a document, somebody must have compared them and say so by name.
 *
 * Throws `CONSENT_MISMATCH`. An attestation does not overrule the encoder.
 */
export async function checkSpeaker({
  statement,
  recordings,
  attestedBy,
  threshold,
  maker,
  signal,
}: {
  readonly statement: { readonly kind: 'recording' | 'document'; readonly bytes: Uint8Array } | null;
  readonly recordings: readonly RecordingFile[];
  readonly attestedBy: string | null;
  readonly threshold: number;
  readonly maker: Pick<VoiceMaker, 'compareSpeakers'>;
  readonly signal?: AbortSignal;
}): Promise<SpeakerMatch> {
  if (statement === null) return { method: 'own_recordings' };
  if (statement.kind === 'recording') {
    const files = recordings.map(({ bytes }) => bytes);
    const request = { statement: statement.bytes, recordings: files };
    const similarity = await maker.compareSpeakers(request, signal === undefined ? {} : { signal });
    if (similarity !== null) {
      const rounded = Math.round(similarity * 1000) / 1000;
      if (similarity >= threshold) return { method: 'speaker_encoder', similarity: rounded, threshold };
      throw new AppError(
        'CONSENT_MISMATCH',
        `the speaker of the statement does not sound like that of the recordings (similarity ${rounded}, at least ${threshold} is asked for); record the statement again with the same speaker and microphone`,
      );
    }
  }
  if (attestedBy !== null) return { method: 'attested', by: cleanText('attested_by', attestedBy, 1, 200) };
  const why =
    statement.kind === 'document'
      ? 'the consent is a document, which has no voice to compare with the recordings'
      : 'no imported model has a speaker encoder to compare the statement with the recordings';
  throw new AppError(
    'CONSENT_MISMATCH',
    `${why}; have a person compare them, and name that person in attested_by${
      statement.kind === 'recording' ? ', or import a model together with ERes2NetV2 (timbre model import)' : ''
    }`,
  );
}
