/** The wire form of a tenant's adapters (LoRA). */
import { type Static, Type } from 'typebox';

export const StoreAdapterQuery = Type.Object(
  {
    model: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'The model that it must fit; by default the default one.',
      }),
    ),
    check: Type.Optional(Type.Boolean({ description: 'true: only say what it changes; nothing is stored.' })),
  },
  { additionalProperties: false },
);

const rank = (network: string) =>
  Type.Integer({ minimum: 0, maximum: 16, description: `What it changes of ${network}; 0: nothing.` });

const FACTS = {
  model: Type.String({ description: 'The model that it was held against.' }),
  text2semantic_rank: rank('text-to-semantic'),
  sovits_rank: rank('the waveform (SoVITS)'),
  parameters: Type.Integer(),
  size_bytes: Type.Integer(),
  digest: Type.String({ description: 'SHA-256 of the file.' }),
};

export const Adapter = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  ...FACTS,
  created_at: Type.String(),
  created_by: Type.String(),
});
export type Adapter = Static<typeof Adapter>;

export const StoreAdapterAnswer = Type.Object({
  name: Type.String(),
  version: Type.Union([Type.Null(), Type.Integer()], { description: 'null where it was only checked.' }),
  ...FACTS,
});
export type StoreAdapterAnswer = Static<typeof StoreAdapterAnswer>;

export const AdaptersAnswer = Type.Object({ adapters: Type.Array(Adapter) });
export type AdaptersAnswer = Static<typeof AdaptersAnswer>;

export const AdapterVersionsAnswer = Type.Object({ versions: Type.Array(Adapter) });
export type AdapterVersionsAnswer = Static<typeof AdapterVersionsAnswer>;
