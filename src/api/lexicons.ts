/** The wire form of a tenant's pronunciation lexicons. */
import { type Static, Type } from 'typebox';
import { SPEECH_LANGUAGES } from './synthesis.js';

/** No line breaks, so that the n-th entry is the n-th line that a problem names. */
const line = (maxLength: number) => Type.String({ maxLength, pattern: '^[^\\r\\n]*$' });
const nullable = <Schema extends ReturnType<typeof Type.String>>(schema: Schema) => Type.Union([Type.Null(), schema]);

export const LexiconEntryFields = Type.Object(
  {
    word: line(200),
    language: Type.Optional(nullable(Type.String({ maxLength: 8, description: 'zh, yue, en, ja or ko; null: any.' }))),
    alphabet: Type.Optional(
      Type.String({
        maxLength: 32,
        description:
          'pinyin, jyutping, arpabet, ipa, hangul, kana or replacement; absent: the usual one of the language, a ' +
          'replacement where there is no language.',
      }),
    ),
    reading: line(2000),
  },
  { additionalProperties: false },
);

/** A new version of a lexicon as JSON; text/csv and application/pls+xml are taken as well. */
export const StoreLexiconFields = Type.Object(
  { entries: Type.Array(LexiconEntryFields, { maxItems: 100_000 }) },
  { additionalProperties: false },
);
export type StoreLexiconFields = Static<typeof StoreLexiconFields>;

export const StoreLexiconQuery = Type.Object(
  {
    skip_invalid: Type.Optional(
      Type.Boolean({
        description: 'true: entries that cannot be used are left out; by default they refuse the whole.',
      }),
    ),
    check: Type.Optional(Type.Boolean({ description: 'true: only say what is wrong; nothing is stored.' })),
  },
  { additionalProperties: false },
);

export const ReadLexiconQuery = Type.Object(
  {
    version: Type.Optional(Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'By default the newest.' })),
    format: Type.Optional(Type.Enum(['json', 'csv', 'pls'], { description: 'json by default.' })),
    language: Type.Optional(
      Type.Enum(['zh', 'yue', 'en', 'ja', 'ko'], {
        description: 'Of the entries in a PLS file, which holds one language; by default those for any.',
      }),
    ),
  },
  { additionalProperties: false },
);

const Problem = Type.Object({ line: Type.Integer(), message: Type.String() });

export const Lexicon = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  entries: Type.Integer(),
  digest: Type.String({ description: 'SHA-256 of the text.' }),
  created_at: Type.String(),
  created_by: Type.String(),
});
export type Lexicon = Static<typeof Lexicon>;

export const LexiconsAnswer = Type.Object({ lexicons: Type.Array(Lexicon) });
export type LexiconsAnswer = Static<typeof LexiconsAnswer>;

export const LexiconVersionsAnswer = Type.Object({ versions: Type.Array(Lexicon) });
export type LexiconVersionsAnswer = Static<typeof LexiconVersionsAnswer>;

export const StoreLexiconAnswer = Type.Object({
  name: Type.String(),
  version: Type.Union([Type.Null(), Type.Integer()], { description: 'null where it was only checked.' }),
  entries: Type.Integer(),
  problems: Type.Array(Problem, { description: 'Entries that cannot be read or contradict others, by line.' }),
});
export type StoreLexiconAnswer = Static<typeof StoreLexiconAnswer>;

export const LexiconAnswer = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  created_at: Type.String(),
  entries: Type.Array(
    Type.Object({
      word: Type.String(),
      language: nullable(Type.String()),
      alphabet: Type.String(),
      reading: Type.String(),
      line: Type.Integer(),
    }),
  ),
  problems: Type.Array(Problem),
});
export type LexiconAnswer = Static<typeof LexiconAnswer>;

export const PreviewLexiconFields = Type.Object(
  {
    text: Type.String({ description: 'What to read with and without the lexicon.' }),
    language: Type.Optional(Type.Enum([...SPEECH_LANGUAGES])),
    name: Type.Optional(line(64)),
    version: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'Of the named lexicon; by default the newest.' }),
    ),
    content: Type.Optional(
      Type.String({ description: 'CSV or PLS that is not stored yet; instead of version, or of name and version.' }),
    ),
    speaker_id: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
    audio: Type.Optional(Type.Boolean({ description: 'false: only the readings. By default both sounds are made.' })),
  },
  { additionalProperties: false },
);

export const PreviewLexiconAnswer = Type.Object({
  differences: Type.Array(
    Type.Object({
      text: Type.String(),
      start: Type.Integer({ description: 'In the text, in UTF-16 units.' }),
      end: Type.Integer(),
      before: Type.String(),
      after: Type.String(),
      rule: Type.String(),
    }),
  ),
  problems: Type.Array(Problem),
  before_audio_url: Type.Union([Type.Null(), Type.String()]),
  after_audio_url: Type.Union([Type.Null(), Type.String()]),
});
export type PreviewLexiconAnswer = Static<typeof PreviewLexiconAnswer>;
