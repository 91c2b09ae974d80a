/** The wire form of voices and consents: what is sent to make them, and what is told of them. */
import { type Static, Type } from 'typebox';
import { AUDIO_FORMATS, SPEECH_LANGUAGES } from './synthesis.js';

const optional = Type.Optional;
const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([Type.Null(), schema]);
const language = Type.Enum([...SPEECH_LANGUAGES], { description: 'Of the transcript; auto where absent.' });
const transcript = Type.String({
  maxLength: 4000,
  description: 'What the first recording says, word for word. Absent: only the style of the recordings is used.',
});
const consent = Type.String({ maxLength: 64, description: 'Id of the consent of whoever speaks.' });
const attestedBy = Type.String({
  minLength: 1,
  maxLength: 200,
  description:
    'Who has compared the speaker of the statement with that of the recordings, where no speaker encoder can; goes on record.',
});
const model = Type.String({ minLength: 1, maxLength: 64, description: 'A model of GET /v1/models.' });
const labels = Type.Record(Type.String(), Type.String(), {
  description: 'Up to 32; in a form as JSON.',
});
const name = Type.String({ minLength: 1, maxLength: 200, description: 'For people.' });
const description = Type.String({ maxLength: 2000 });
const style = Type.String({
  minLength: 1,
  maxLength: 32,
  description: 'A way of speaking: calm, cheerful, …; "default" is the usual one.',
});
const time = Type.String({ maxLength: 40, description: 'ISO 8601.' });

/** What recordings are checked, or made into a voice, with. */
const recordingFields = { language: optional(language), transcript: optional(transcript), model: optional(model) };
const enrolmentFields = { ...recordingFields, consent: optional(consent), attested_by: optional(attestedBy) };

/** `POST /v1/voices`, besides the files `recordings`. */
export const NewVoiceFields = Type.Object(
  {
    id: optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'Unique in the tenant; drawn where absent.' }),
    ),
    name: optional(name),
    description: optional(description),
    labels: optional(labels),
    ...enrolmentFields,
  },
  { additionalProperties: false },
);
export type NewVoiceFields = Static<typeof NewVoiceFields>;

/** `POST /v1/voices/{id}/versions`; without `recordings` all styles are made anew of those that are stored. */
export const NewVersionFields = Type.Object(
  {
    style: optional(style),
    ...enrolmentFields,
  },
  { additionalProperties: false },
);
export type NewVersionFields = Static<typeof NewVersionFields>;

export const CheckRecordingFields = Type.Object(recordingFields, { additionalProperties: false });

export const VoiceChangeFields = Type.Object(
  {
    name: optional(name),
    description: optional(description),
    labels: optional(labels),
    disabled: optional(Type.Boolean({ description: 'true: the voice is silent at once, until it is false again.' })),
    version: optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'The version that speaks: to go back to one.' }),
    ),
  },
  { additionalProperties: false },
);

export const RecordingQuery = Type.Object({
  style: optional(style),
  position: optional(Type.Integer({ minimum: 0, maximum: 15, description: 'Which of the recordings, from 0.' })),
});

export const PreviewFields = Type.Object(
  {
    text: optional(Type.String({ minLength: 1, maxLength: 300 })),
    style: optional(style),
    format: optional(Type.Enum([...AUDIO_FORMATS], { description: 'wav by default.' })),
  },
  { additionalProperties: false },
);

/** `POST /v1/consents`, besides the file `recording` or `document`. */
export const NewConsentFields = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200, description: 'What people call the record.' }),
    language: Type.String({ minLength: 1, maxLength: 35, description: 'BCP 47, of the statement.' }),
    speaker: optional(Type.String({ minLength: 1, maxLength: 200, description: 'Whose voice it is; kept encrypted.' })),
    text: optional(
      Type.String({ minLength: 1, maxLength: 10_000, description: 'What the statement says; kept encrypted.' }),
    ),
    scope: optional(Type.String({ maxLength: 2000, description: 'What the voice may be used for.' })),
    sharing: optional(
      Type.Boolean({ description: 'Whether the voice may be shared with other tenants; no where absent.' }),
    ),
    valid_from: optional(time),
    valid_until: optional(time),
  },
  { additionalProperties: false },
);

export const ConsentChangeFields = Type.Object({ name }, { additionalProperties: false });
export const RevokeConsentFields = Type.Object(
  { reason: optional(Type.String({ maxLength: 500 })) },
  { additionalProperties: false },
);
export const ShareVoiceFields = Type.Object(
  { tenant: Type.String({ minLength: 1, maxLength: 63 }) },
  { additionalProperties: false },
);

export const RecordingCheckAnswer = Type.Object({
  accepted: Type.Boolean({ description: 'Whether a voice could be made of these.' }),
  checks: Type.Array(
    Type.Object({
      recording: Type.Integer({ description: 'Which, from 0.' }),
      check: Type.String(),
      outcome: Type.Enum(['ok', 'warning', 'refused', 'unchecked']),
      message: Type.String({ description: 'What was found, and what to improve.' }),
      value: nullable(Type.Number()),
    }),
  ),
});
export type RecordingCheckAnswer = Static<typeof RecordingCheckAnswer>;

export const VoiceAnswer = Type.Object({
  id: Type.String({ description: 'What speaker_id takes; "id.style" for one of its styles.' }),
  name: Type.String(),
  description: Type.String(),
  labels,
  status: Type.Enum(['ready', 'disabled', 'consent_required', 'consent_revoked', 'consent_expired']),
  version: nullable(Type.Integer()),
  language: Type.String(),
  styles: Type.Array(Type.String()),
  model: Type.String(),
  consent: nullable(Type.String()),
  source: Type.Enum(['own', 'shared', 'pool'], {
    description: "Whose it is: the tenant's, another's, the operator's.",
  }),
  transcript: nullable(Type.String()),
  duration_ms: Type.Number(),
  created_at: Type.String(),
  warnings: Type.Array(Type.String()),
  voice_id: Type.String({ description: 'The id, as ElevenLabs calls it.' }),
  category: Type.String(),
  created_at_unix: Type.Integer(),
  is_owner: Type.Boolean(),
});
export type VoiceAnswer = Static<typeof VoiceAnswer>;

export const VoicesAnswer = Type.Object({
  default_voice: nullable(Type.String()),
  voices: Type.Array(VoiceAnswer),
});

export const VersionsAnswer = Type.Object({
  versions: Type.Array(
    Type.Object({
      version: Type.Integer(),
      current: Type.Boolean(),
      model: Type.String(),
      consent: nullable(Type.String()),
      speaker_match: Type.Object(
        { method: Type.Enum(['own_recordings', 'speaker_encoder', 'attested']) },
        { additionalProperties: true },
      ),
      styles: Type.Array(Type.String()),
      created_at: Type.String(),
      created_by: Type.String(),
    }),
  ),
});

export const ConsentAnswer = Type.Object({
  id: Type.String(),
  name: Type.String(),
  language: Type.String(),
  kind: Type.Enum(['recording', 'document']),
  media_type: Type.String(),
  sha256: Type.String({ description: 'Of the recording or document.' }),
  state: Type.Enum(['active', 'not_yet_valid', 'expired', 'revoked']),
  scope: Type.String(),
  sharing: Type.Boolean(),
  valid_from: Type.String(),
  valid_until: nullable(Type.String()),
  created_at: Type.String(),
  created_by: Type.String(),
  revoked_at: nullable(Type.String()),
  revoked_by: nullable(Type.String()),
  revoke_reason: nullable(Type.String()),
  speaker: optional(nullable(Type.String())),
  text: optional(nullable(Type.String())),
});
export type ConsentAnswer = Static<typeof ConsentAnswer>;

export const ConsentsAnswer = Type.Object({ consents: Type.Array(ConsentAnswer) });

export const SharesAnswer = Type.Object({
  shares: Type.Array(Type.Object({ tenant: Type.String(), voice: Type.String(), created_at: Type.String() })),
});
