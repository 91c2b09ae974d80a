/** The wire form of a synthesis: what a caller sends, and what comes back when the audio is to be fetched. */
import { type Static, Type } from 'typebox';

export const SPEECH_LANGUAGES = [
  'auto',
  'auto_yue',
  'zh',
  'en',
  'ja',
  'ko',
  'yue',
  'all_zh',
  'all_ja',
  'all_ko',
  'all_yue',
] as const;
export const AUDIO_FORMATS = ['wav', 'pcm', 'mp3', 'opus', 'aac', 'flac', 'vorbis', 'mulaw', 'alaw'] as const;
export const INPUT_TYPES = ['text', 'ssml'] as const;
export const PRIORITIES = ['interactive', 'batch'] as const;
export const SPLIT_METHODS = ['sentence', 'chunk30', 'cut0', 'cut1', 'cut2', 'cut3', 'cut4', 'cut5'] as const;

export type AudioFormat = (typeof AUDIO_FORMATS)[number];

const UINT32_MAX = 4_294_967_295;

/** Every field may come in the JSON body or in the query; the body wins where both have one. */
export const SynthesizeFields = Type.Object(
  {
    text: Type.Optional(Type.String({ description: 'What to say.' })),
    input_type: Type.Optional(
      Type.Enum([...INPUT_TYPES], { description: 'text, or ssml: the text is an SSML 1.1 document. Absent: text.' }),
    ),
    speaker_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 97,
        description: "Id of a voice, or id.style for one of its styles; by default the server's default voice.",
      }),
    ),
    language: Type.Optional(
      Type.Enum([...SPEECH_LANGUAGES], {
        description:
          'auto reads each script in its language, auto_yue with Cantonese for Chinese; zh, yue, ja and ko mix that ' +
          'language with English, all_zh, all_yue, all_ja and all_ko read numbers in it too; en is English only.',
      }),
    ),
    speed: Type.Optional(Type.Number({ minimum: 0.5, maximum: 2, description: '2 is twice as fast.' })),
    seed: Type.Optional(
      Type.Integer({ minimum: 0, maximum: UINT32_MAX, description: 'Same seed, same audio; by default drawn anew.' }),
    ),
    format: Type.Optional(
      Type.Enum([...AUDIO_FORMATS], {
        description:
          'pcm is 16-bit little-endian samples without a header, mulaw and alaw are G.711 at 8 kHz, opus and vorbis come in ' +
          'Ogg. All are mono.',
      }),
    ),
    sample_rate: Type.Optional(
      Type.Integer({
        minimum: 8000,
        maximum: 48_000,
        description: "Of the audio, in Hz; by default the model's own, or 8000 for mulaw and alaw.",
      }),
    ),
    bitrate_kbps: Type.Optional(Type.Integer({ minimum: 8, maximum: 320, description: 'For mp3 and opus.' })),
    priority: Type.Optional(
      Type.Enum([...PRIORITIES], {
        description:
          'batch gets a tenth of the turns while anybody waits for interactive work; by default interactive. The header X-Timbre-Priority says it too.',
      }),
    ),
    stream: Type.Optional(
      Type.Boolean({ description: 'true: answer with the audio itself, sentence by sentence as it is made.' }),
    ),
    lexicons: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 80 }), {
        maxItems: 16,
        description:
          'Pronunciation lexicons by name, or name@version, the later before the earlier; by default "default" and the one ' +
          "with the voice's name.",
      }),
    ),
    adapter: Type.Optional(
      Type.String({
        maxLength: 110,
        description:
          'An adapter (LoRA) by name, or name@version; empty: none. By default each voice speaks with the one that has its name.',
      }),
    ),
    top_k: Type.Optional(Type.Integer({ minimum: 1, maximum: 1025 })),
    top_p: Type.Optional(Type.Number({ minimum: 0.01, maximum: 1 })),
    temperature: Type.Optional(Type.Number({ minimum: 0.01, maximum: 2 })),
    repetition_penalty: Type.Optional(Type.Number({ minimum: 1, maximum: 5 })),
    text_split_method: Type.Optional(
      Type.Enum([...SPLIT_METHODS], { description: 'How the text is cut into sentences.' }),
    ),
    sentence_pause_ms: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 5000, description: 'Silence between sentences.' }),
    ),
  },
  { additionalProperties: false },
);
export type SynthesizeFields = Static<typeof SynthesizeFields>;

export const SynthesizeAnswer = Type.Object({
  audio_url: Type.String(),
  duration_ms: Type.Integer(),
  request_id: Type.String(),
  marks: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), time_ms: Type.Number() }), {
      description: 'The marks of an SSML document, and when they are reached.',
    }),
  ),
});
export type SynthesizeAnswer = Static<typeof SynthesizeAnswer>;
