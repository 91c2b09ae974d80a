/** The wire form of what a server tells about itself: errors, health, voices, models. */
import { type Static, Type } from 'typebox';

export const ErrorAnswer = Type.Object({
  error: Type.Object({
    code: Type.String({ description: 'One of docs/ERRORS.md; stable.' }),
    message: Type.String({ description: 'For people; may change.' }),
    request_id: Type.String(),
  }),
});
export type ErrorAnswer = Static<typeof ErrorAnswer>;

export const Model = Type.Object({
  name: Type.String(),
  version: Type.String(),
  sample_rate_hz: Type.Integer(),
  size_bytes: Type.Integer(),
  digest: Type.String(),
  precision: Type.String(),
  has_bert: Type.Boolean(),
  created_at: Type.String(),
  warnings: Type.Array(Type.String()),
});
export type Model = Static<typeof Model>;

export const ModelsAnswer = Type.Object({ models: Type.Array(Model) });
export type ModelsAnswer = Static<typeof ModelsAnswer>;

export const ReadyAnswer = Type.Object({
  status: Type.Enum(['ready', 'not_ready']),
  engine: Type.String(),
  reason: Type.Union([Type.Null(), Type.String()]),
});
export type ReadyAnswer = Static<typeof ReadyAnswer>;

export const VerifyAnswer = Type.Object({
  made_by_ai: Type.Boolean({ description: 'A label or the watermark says so; their absence proves nothing.' }),
  label: Type.Union([
    Type.Null(),
    Type.Record(Type.String(), Type.String(), { description: 'The AIGC metadata of the file (GB 45438-2025).' }),
  ]),
  watermark: Type.Object({
    found: Type.Boolean(),
    score: Type.Number({ description: 'Agreement with the pattern in standard deviations of unmarked sound.' }),
    threshold: Type.Number(),
  }),
  duration_ms: Type.Integer(),
});
export type VerifyAnswer = Static<typeof VerifyAnswer>;
