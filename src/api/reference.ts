/** The wire form of the reference implementation's two servers (`api_v2.py` and the older `api.py`). */
import { type Static, Type } from 'typebox';

const anyText = Type.Union([Type.String(), Type.Null()]);
const number = Type.Number();
const integer = Type.Integer();

/** What api_v2's `/tts` takes; which values make sense is checked by its own rules, in its own order. */
export const ReferenceTtsFields = Type.Object({
  text: Type.Optional(anyText),
  text_lang: Type.Optional(anyText),
  ref_audio_path: Type.Optional(
    Type.Union([Type.String(), Type.Null()], {
      description: 'A path inside TIMBRE_REFERENCE_FOLDER, or the name of a voice.',
    }),
  ),
  aux_ref_audio_paths: Type.Optional(Type.Union([Type.Array(Type.String(), { maxItems: 16 }), Type.Null()])),
  prompt_text: Type.Optional(anyText),
  prompt_lang: Type.Optional(anyText),
  top_k: Type.Optional(integer),
  top_p: Type.Optional(number),
  temperature: Type.Optional(number),
  text_split_method: Type.Optional(anyText),
  batch_size: Type.Optional(integer),
  batch_threshold: Type.Optional(number),
  split_bucket: Type.Optional(Type.Boolean()),
  speed_factor: Type.Optional(number),
  fragment_interval: Type.Optional(number),
  seed: Type.Optional(integer),
  media_type: Type.Optional(anyText),
  streaming_mode: Type.Optional(Type.Union([Type.Boolean(), integer])),
  return_fragment: Type.Optional(Type.Boolean()),
  parallel_infer: Type.Optional(Type.Boolean()),
  repetition_penalty: Type.Optional(number),
  sample_steps: Type.Optional(integer),
  super_sampling: Type.Optional(Type.Boolean()),
  overlap_length: Type.Optional(integer),
  min_chunk_length: Type.Optional(integer),
});
export type ReferenceTtsFields = Static<typeof ReferenceTtsFields>;

/** What `api.py`'s `/` takes. */
export const LegacyTtsFields = Type.Object({
  refer_wav_path: Type.Optional(anyText),
  prompt_text: Type.Optional(anyText),
  prompt_language: Type.Optional(anyText),
  text: Type.Optional(anyText),
  text_language: Type.Optional(anyText),
  cut_punc: Type.Optional(anyText),
  top_k: Type.Optional(integer),
  top_p: Type.Optional(number),
  temperature: Type.Optional(number),
  speed: Type.Optional(number),
  inp_refs: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 16 })])),
  sample_steps: Type.Optional(integer),
  if_sr: Type.Optional(Type.Boolean()),
});
export type LegacyTtsFields = Static<typeof LegacyTtsFields>;
