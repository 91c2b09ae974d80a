/** The wire form of OpenAI's speech API, as far as it is served here. */
import { type Static, Type } from 'typebox';
import { SPEECH_LANGUAGES } from './synthesis.js';

export const OPENAI_FORMATS = ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm'] as const;

/** An id of up to 64 characters, and a style of up to 32. */
const voiceName = Type.String({ minLength: 1, maxLength: 97 });

export const OpenAiSpeechFields = Type.Object(
  {
    model: Type.String({
      minLength: 1,
      maxLength: 256,
      description:
        'Any name is taken: the voice decides which model speaks. `tts-1` and `tts-1-hd` have no sse stream.',
    }),
    input: Type.String({ description: 'What to say.' }),
    voice: Type.Union([voiceName, Type.Object({ id: voiceName }, { additionalProperties: false })], {
      description: "Name of a voice; OpenAI's own names mean the default voice where no voice has them.",
    }),
    instructions: Type.Optional(Type.String({ maxLength: 4096, description: 'Taken and not followed.' })),
    response_format: Type.Optional(
      Type.Enum([...OPENAI_FORMATS], { description: 'mp3 by default; pcm is at 24 kHz.' }),
    ),
    speed: Type.Optional(
      Type.Number({ minimum: 0.25, maximum: 4, description: 'Below 0.5 and above 2 the nearest of these is used.' }),
    ),
    stream_format: Type.Optional(Type.Enum(['audio', 'sse'])),
    // What other servers of this API take, and their clients send.
    stream: Type.Optional(Type.Boolean({ description: 'Taken and without effect: audio always comes as it is made.' })),
    language: Type.Optional(Type.Enum([...SPEECH_LANGUAGES], { description: 'Of the input; ours.' })),
    adapter: Type.Optional(
      Type.String({ maxLength: 110, description: 'An adapter by name, or name@version; empty: none; ours.' }),
    ),
    lang_code: Type.Optional(Type.String({ maxLength: 16, description: 'Taken and without effect.' })),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295, description: 'Ours.' })),
  },
  { additionalProperties: false },
);
export type OpenAiSpeechFields = Static<typeof OpenAiSpeechFields>;

export const OpenAiVoicesAnswer = Type.Object({
  object: Type.Literal('list'),
  voices: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String(),
      object: Type.Literal('audio.voice'),
      created_at: Type.Integer(),
    }),
  ),
});

export const OpenAiModel = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer(),
  owned_by: Type.String(),
});

/** `POST /v1/audio/voices`, besides the file `audio_sample`. */
export const OpenAiNewVoiceFields = Type.Object(
  {
    type: Type.Optional(Type.Literal('audio_sample', { description: 'Voices are not made of prompts here.' })),
    name: Type.String({ minLength: 1, maxLength: 200 }),
    consent: Type.Optional(
      Type.String({ maxLength: 64, description: 'Required unless the tenant may use its own recordings.' }),
    ),
    attested_by: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Ours; see /v1/voices.' })),
  },
  { additionalProperties: false },
);

/** `POST /v1/audio/voice_consents`, besides the file `recording`. */
export const OpenAiNewConsentFields = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    language: Type.String({ minLength: 1, maxLength: 35, description: 'BCP 47.' }),
  },
  { additionalProperties: false },
);

export const OpenAiConsentChange = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 200 }) },
  { additionalProperties: false },
);

export const OpenAiListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  after: Type.Optional(Type.String({ maxLength: 64 })),
});

export const OpenAiVoice = Type.Object({
  object: Type.Literal('audio.voice'),
  id: Type.String(),
  name: Type.String(),
  created_at: Type.Integer(),
});

export const OpenAiConsent = Type.Object({
  object: Type.Literal('audio.voice_consent'),
  id: Type.String(),
  name: Type.String(),
  language: Type.String(),
  created_at: Type.Integer(),
});

export const OpenAiConsentList = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(OpenAiConsent),
  first_id: Type.Union([Type.Null(), Type.String()]),
  last_id: Type.Union([Type.Null(), Type.String()]),
  has_more: Type.Boolean(),
});

export const OpenAiConsentDeleted = Type.Object({
  object: Type.Literal('audio.voice_consent'),
  id: Type.String(),
  deleted: Type.Boolean(),
});
