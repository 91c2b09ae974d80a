/** The messages of `/v1/stream`, our own WebSocket: text in pieces, audio as it is made, contexts side by side. */
import { type Static, Type } from 'typebox';
import { AUDIO_FORMATS, INPUT_TYPES, SPEECH_LANGUAGES } from './synthesis.js';

const contextId = Type.Optional(
  Type.String({ minLength: 1, maxLength: 64, description: 'Which context; "default" where absent.' }),
);

export const StreamMessage = Type.Union([
  Type.Object(
    {
      type: Type.Literal('start', { description: 'Opens a context; optional where the defaults do.' }),
      context_id: contextId,
      voice: Type.Optional(Type.String({ minLength: 1, maxLength: 97 })),
      language: Type.Optional(Type.Enum([...SPEECH_LANGUAGES])),
      speed: Type.Optional(Type.Number({ minimum: 0.5, maximum: 2 })),
      seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
      input_type: Type.Optional(
        Type.Enum([...INPUT_TYPES], {
          description: 'ssml: the texts are one SSML document, spoken when it has ended.',
        }),
      ),
      lexicons: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 80 }), { maxItems: 16 })),
      adapter: Type.Optional(Type.String({ maxLength: 110, description: 'As in /synthesize.' })),
      format: Type.Optional(Type.Enum([...AUDIO_FORMATS], { description: 'pcm by default.' })),
      sample_rate: Type.Optional(Type.Integer({ minimum: 8000, maximum: 48_000 })),
      bitrate_kbps: Type.Optional(Type.Integer({ minimum: 8, maximum: 320 })),
      api_key: Type.Optional(Type.String({ maxLength: 8192, description: 'For browsers, which cannot set headers.' })),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { type: Type.Literal('text'), context_id: contextId, text: Type.String({ maxLength: 20_000 }) },
    { additionalProperties: false },
  ),
  Type.Object(
    { type: Type.Literal('flush', { description: 'Say now what there is.' }), context_id: contextId },
    { additionalProperties: false },
  ),
  Type.Object(
    { type: Type.Literal('end', { description: 'No more text: done follows the last audio.' }), context_id: contextId },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      type: Type.Literal('cancel', { description: 'Stop now; cancelled says what was spoken.' }),
      context_id: contextId,
      played_ms: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400_000 })),
    },
    { additionalProperties: false },
  ),
  Type.Object({ type: Type.Literal('ping') }, { additionalProperties: false }),
  Type.Object({ type: Type.Literal('close') }, { additionalProperties: false }),
]);
export type StreamMessage = Static<typeof StreamMessage>;

/** What the server says; audio comes in binary messages: a byte with the length of the context's id, the id, the audio. */
export type StreamEvent =
  | {
      readonly type: 'started';
      readonly context_id: string;
      readonly voice: string;
      readonly seed: number;
      readonly content_type: string;
      readonly sample_rate: number;
    }
  | {
      readonly type: 'chunk';
      readonly context_id: string;
      readonly text_start: number;
      readonly text_end: number;
      readonly start_ms: number;
    }
  | {
      readonly type: 'alignment';
      readonly context_id: string;
      readonly text_start: number;
      readonly characters: readonly string[];
      readonly start_ms: readonly number[];
      readonly end_ms: readonly number[];
      /** By their places in all text of the context, as `text_start` is. */
      readonly words: readonly {
        readonly text_start: number;
        readonly text_end: number;
        readonly start_ms: number;
        readonly end_ms: number;
      }[];
    }
  /** A mark of an SSML document, before the audio that it stands before. */
  | { readonly type: 'mark'; readonly context_id: string; readonly name: string; readonly time_ms: number }
  | { readonly type: 'flushed'; readonly context_id: string }
  | { readonly type: 'done'; readonly context_id: string; readonly duration_ms: number }
  | {
      readonly type: 'cancelled';
      readonly context_id: string;
      readonly spoken_text: string;
      readonly spoken_text_end: number;
      readonly spoken_ms: number;
    }
  | { readonly type: 'error'; readonly context_id: string | null; readonly code: string; readonly message: string }
  | { readonly type: 'pong' };
