/** The wire form of ElevenLabs's text-to-speech API, as far as it is served here. */
import { type Static, Type } from 'typebox';

const nullable = <Schema extends Parameters<typeof Type.Optional>[0]>(schema: Schema) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const unit = Type.Number({ minimum: 0, maximum: 1 });

export const ElevenLabsVoiceSettings = Type.Object({
  stability: nullable(unit),
  similarity_boost: nullable(unit),
  style: nullable(unit),
  use_speaker_boost: nullable(Type.Boolean()),
  speed: nullable(
    Type.Number({ minimum: 0.25, maximum: 4, description: 'The other settings are taken and without effect.' }),
  ),
});
export type ElevenLabsVoiceSettings = Static<typeof ElevenLabsVoiceSettings>;

/** One of the tenant's lexicons. */
export const ElevenLabsDictionaryLocator = Type.Object({
  pronunciation_dictionary_id: Type.String({ minLength: 1, maxLength: 64, description: 'Name of a lexicon.' }),
  version_id: nullable(Type.String({ maxLength: 64, description: 'Number of its version; by default the newest.' })),
});
export type ElevenLabsDictionaryLocator = Static<typeof ElevenLabsDictionaryLocator>;

export const ElevenLabsSpeechFields = Type.Object({
  text: Type.String({ description: 'What to say.' }),
  model_id: nullable(
    Type.String({ maxLength: 256, description: 'Any name is taken: the voice decides which model speaks.' }),
  ),
  language_code: nullable(Type.String({ maxLength: 16 })),
  voice_settings: nullable(ElevenLabsVoiceSettings),
  pronunciation_dictionary_locators: nullable(Type.Array(ElevenLabsDictionaryLocator, { maxItems: 3 })),
  seed: nullable(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
  previous_text: nullable(Type.String({ maxLength: 10_000 })),
  next_text: nullable(Type.String({ maxLength: 10_000 })),
  previous_request_ids: nullable(Type.Array(Type.String(), { maxItems: 3 })),
  next_request_ids: nullable(Type.Array(Type.String(), { maxItems: 3 })),
  apply_text_normalization: nullable(Type.Enum(['auto', 'on', 'off'])),
  apply_language_text_normalization: nullable(Type.Boolean()),
  use_pvc_as_ivc: nullable(Type.Boolean()),
});
export type ElevenLabsSpeechFields = Static<typeof ElevenLabsSpeechFields>;

export const ElevenLabsQuery = Type.Object({
  output_format: Type.Optional(
    Type.String({
      maxLength: 32,
      description: 'mp3_44100_128 by default; pcm_, ulaw_8000, alaw_8000, opus_48000_, wav_ too.',
    }),
  ),
  optimize_streaming_latency: Type.Optional(Type.Integer({ minimum: 0, maximum: 4 })),
  enable_logging: Type.Optional(Type.Boolean()),
});

const alignment = Type.Object({
  characters: Type.Array(Type.String()),
  character_start_times_seconds: Type.Array(Type.Number()),
  character_end_times_seconds: Type.Array(Type.Number()),
});

export const ElevenLabsTimedSpeech = Type.Object({
  audio_base64: Type.String(),
  alignment,
  normalized_alignment: alignment,
});

const milliseconds = Type.Integer({ minimum: 50, maximum: 500 });

/** Messages of the `stream-input` WebSockets, single and with several contexts. */
export const ElevenLabsStreamMessage = Type.Object({
  text: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  context_id: nullable(Type.String({ minLength: 1, maxLength: 128 })),
  voice_settings: nullable(ElevenLabsVoiceSettings),
  generation_config: nullable(
    Type.Object({ chunk_length_schedule: nullable(Type.Array(milliseconds, { maxItems: 50 })) }),
  ),
  generator_config: nullable(
    Type.Object({ chunk_length_schedule: nullable(Type.Array(milliseconds, { maxItems: 50 })) }),
  ),
  pronunciation_dictionary_locators: nullable(Type.Array(ElevenLabsDictionaryLocator, { maxItems: 3 })),
  try_trigger_generation: nullable(Type.Boolean()),
  flush: nullable(Type.Boolean()),
  close_context: nullable(Type.Boolean()),
  close_socket: nullable(Type.Boolean()),
  'xi-api-key': nullable(Type.String({ maxLength: 8192 })),
  xi_api_key: nullable(Type.String({ maxLength: 8192 })),
  authorization: nullable(Type.String({ maxLength: 8192 })),
});
export type ElevenLabsStreamMessage = Static<typeof ElevenLabsStreamMessage>;

/** `POST /v1/voices/add`, besides the files `files`. */
export const ElevenLabsNewVoiceFields = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  description: Type.Optional(Type.String({ maxLength: 2000 })),
  labels: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'As JSON.' })),
  remove_background_noise: Type.Optional(Type.Boolean({ description: 'Taken and without effect.' })),
  consent: Type.Optional(
    Type.String({ maxLength: 64, description: 'Ours: required unless the tenant may use its own recordings.' }),
  ),
  attested_by: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Ours; see /v1/voices.' })),
});
