import type { ConsentAnswer, VoiceAnswer } from '../api/voices.js';
import type { Consent, ConsentFacts } from '../catalog/consents.js';
import type { Voice, VoiceVersion } from '../catalog/voice-rows.js';
import type { VoiceRecord } from '../jobs/engine-catalog.js';

/** A voice of the catalog, with the fields of all dialects that ask for voices at one address. */
export function renderVoice(voice: Voice): VoiceAnswer {
  return {
    id: voice.id,
    name: voice.name,
    description: voice.description,
    labels: { language: voice.language, ...voice.labels },
    status: voice.status,
    version: voice.version,
    language: voice.language,
    styles: [...voice.styles],
    model: voice.model,
    consent: voice.consentId,
    source: voice.shared ? 'shared' : 'own',
    transcript: null,
    duration_ms: voice.durationMs,
    created_at: voice.createdAt.toISOString(),
    warnings: [...voice.warnings],
    voice_id: voice.id,
    category: 'cloned',
    created_at_unix: unixSeconds(voice.createdAt),
    is_owner: !voice.shared,
  };
}

/** A voice file of the operator's pool. */
export function renderPoolVoice(voice: VoiceRecord): VoiceAnswer {
  return {
    id: voice.name,
    name: voice.name,
    description: '',
    labels: { language: voice.language },
    status: 'ready',
    version: null,
    language: voice.language,
    styles: [],
    model: voice.model,
    consent: null,
    source: 'pool',
    transcript: voice.transcript,
    duration_ms: voice.durationMs,
    created_at: voice.createdAt,
    warnings: [...voice.warnings],
    voice_id: voice.name,
    category: 'cloned',
    created_at_unix: unixSeconds(new Date(voice.createdAt)),
    is_owner: false,
  };
}

export function renderVersion(version: VoiceVersion) {
  return {
    version: version.version,
    current: version.current,
    model: version.model,
    consent: version.consentId,
    speaker_match: version.speakerMatch,
    styles: [...version.styles],
    created_at: version.createdAt.toISOString(),
    created_by: version.createdBy,
  };
}

/** `facts` name people and say what they said: only to who may read them. */
export function renderConsent(consent: Consent, facts?: ConsentFacts): ConsentAnswer {
  return {
    id: consent.id,
    name: consent.name,
    language: consent.language,
    kind: consent.kind,
    media_type: consent.mediaType,
    sha256: consent.sha256,
    state: consent.state,
    scope: consent.scope,
    sharing: consent.sharing,
    valid_from: consent.validFrom.toISOString(),
    valid_until: consent.validUntil?.toISOString() ?? null,
    created_at: consent.createdAt.toISOString(),
    created_by: consent.createdBy,
    revoked_at: consent.revokedAt?.toISOString() ?? null,
    revoked_by: consent.revokedBy,
    revoke_reason: consent.revokeReason,
    ...(facts === undefined ? {} : { speaker: facts.speaker, text: facts.text }),
  };
}

export function unixSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
