import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import { type EnrolmentNetworks, encodePrompt, encodeStyle } from '../../src/engine/enrol-voice.js';
import { enrolmentNetworks } from '../../src/engine/enrolment-networks.js';
import { output, type Session, tensor } from '../../src/engine/onnxruntime.js';
import { readReferenceRecording } from '../../src/engine/reference-recording.js';
import { SemanticDecoder } from '../../src/engine/semantic-decoder.js';
import { buildBert, readBertSpec } from '../../src/models/bert.js';
import { bertFeatures } from '../../src/models/bert-features.js';
import { createBertTokenizer } from '../../src/models/bert-tokenizer.js';
import { buildHubert, readHubertSpec } from '../../src/models/hubert.js';
import { buildSpeakerEncoder, readSpeakerEncoderSpec } from '../../src/models/speaker-encoder.js';
import { buildText2Semantic, readText2SemanticSettings } from '../../src/models/text2semantic.js';
import type { GraphModel } from '../../src/onnx/graph.js';
import type { ManifestCase, ReferenceData } from './reference.js';
import { compileInMemory, SovitsUnderTest } from './sovits-under-test.js';

/** A sentence as the cases give it: phonemes are known, so that no text front end is in the comparison. */
export interface GivenSentence {
  readonly text: string;
  readonly phones: readonly number[];
  readonly word2ph: readonly number[] | null;
}

export interface EnrolledReference {
  readonly globalEmbedding: Float32Array;
  readonly promptSemantic: Int32Array;
}

/** Token that means silence, by which streams are cut. upstream: TTS_infer_pack/TTS.py mute_tokens */
const MUTE_TOKEN = 486;

/** upstream: TTS_infer_pack/TextPreprocessor.py get_bert_inf, which reads only Chinese */
const WITHOUT_BERT = /^(all_)?(en|ja|ko|yue)$/;

/** All networks of an end-to-end case, composed of the product's pieces. */
export class EndToEndModel {
  readonly sovits: SovitsUnderTest;
  readonly text2semantic: SemanticDecoder;
  /** Cosine similarity of every token's embedding to that of silence. */
  readonly muteSimilarity: Float32Array;
  readonly bertWidth: number;
  readonly #features: (text: string, word2ph: readonly number[]) => Promise<Float32Array>;
  readonly #networks: EnrolmentNetworks;
  readonly #close: (() => void)[] = [];

  constructor(testCase: ManifestCase, reference: ReferenceData) {
    const { checkpoint } = testCase;
    if (typeof checkpoint !== 'object' || checkpoint === null) throw new Error(`${testCase.name} names no checkpoints`);
    this.sovits = new SovitsUnderTest(reference.path(checkpoint['vits'] ?? ''));
    this.#close.push(() => this.sovits.close());
    const compiled = (path: string, build: (opened: Checkpoint) => GraphModel): Session => {
      const session = this.#compile(reference.path(path), build);
      this.#close.push(() => session.close());
      return session;
    };

    const t2s = openCheckpoint(reference.path(checkpoint['t2s'] ?? ''));
    const settings = readText2SemanticSettings(t2s);
    this.text2semantic = new SemanticDecoder(compileInMemory(buildText2Semantic(t2s, settings)), settings);
    this.#close.push(() => this.text2semantic.close());
    this.muteSimilarity = similarityToSilence(t2s);
    this.bertWidth = settings.bertWidth;
    t2s.close();

    const configOf = (folder: string): unknown =>
      JSON.parse(readFileSync(join(reference.path(folder), 'config.json'), 'utf8'));
    const hubert = compiled('checkpoints/hubert/model.safetensors', (opened) =>
      buildHubert(opened, readHubertSpec(opened, configOf('checkpoints/hubert'))),
    );
    const speaker =
      this.sovits.spec.speakerVectorWidth === null
        ? null
        : compiled('checkpoints/sv/pretrained_eres2netv2w24s4ep4.ckpt', (opened) =>
            buildSpeakerEncoder(opened, readSpeakerEncoderSpec(opened)),
          );
    const { quantizer, style } = this.sovits.sessions;
    this.#networks = {
      ...enrolmentNetworks({ hubert, quantizer, style, speaker }),
      spec: this.sovits.spec,
      bertFeatures: () => null, // those of the prompt come from its given word2ph
    };

    const roberta = openCheckpoint(reference.path('checkpoints/roberta/model.safetensors'));
    const bertSpec = readBertSpec(roberta, configOf('checkpoints/roberta'));
    const bert = compileInMemory(buildBert(roberta, bertSpec));
    roberta.close();
    this.#close.push(() => bert.close());
    const tokenizer = createBertTokenizer({
      tokenizerJson: readFileSync(reference.path('checkpoints/roberta/tokenizer.json'), 'utf8'),
    });
    const run = (ids: readonly number[]): Float32Array => {
      const feeds = { input_ids: tensor('int64', [ids.length], BigInt64Array.from(ids, BigInt)) };
      return output(bert.run(feeds), 'hidden_minus3', 'float32').data;
    };
    this.#features = (text, word2ph) => bertFeatures(text, word2ph, { tokenizer, ...bertSpec, run });
  }

  /** Style averaged over the recordings; the first one is the prompt. */
  async enrol(paths: readonly string[]): Promise<EnrolledReference> {
    const mean = new Float32Array(this.sovits.spec.globalEmbeddingWidth);
    let promptSemantic: Int32Array | null = null;
    for (const path of paths) {
      const recording = await readReferenceRecording(readFileSync(path), path);
      const ge = await encodeStyle(recording, this.#networks);
      for (let index = 0; index < mean.length; index++) mean[index]! += ge[index]! / paths.length;
      const silent = { text: '', normalizedText: '', phonemes: [], phonemeIds: [], units: [], segments: [] };
      promptSemantic ??= (await encodePrompt(recording, silent, this.#networks))?.semanticTokens ?? null;
    }
    if (!promptSemantic) throw new Error('no recording, or no HuBERT');
    return { globalEmbedding: mean, promptSemantic };
  }

  /** Text features of a sentence (phonemes, width); zeros for languages without BERT. */
  async features(sentence: GivenSentence, language: unknown): Promise<Float32Array> {
    if (!sentence.word2ph || WITHOUT_BERT.test(String(language)))
      return new Float32Array(sentence.phones.length * this.bertWidth);
    return this.#features(sentence.text, sentence.word2ph);
  }

  close(): void {
    for (const close of this.#close.reverse()) close();
  }

  #compile(path: string, build: (opened: Checkpoint) => GraphModel): Session {
    const checkpoint = openCheckpoint(path);
    try {
      return compileInMemory(build(checkpoint));
    } finally {
      checkpoint.close();
    }
  }
}

function similarityToSilence(t2s: Checkpoint): Float32Array {
  const name = 'ar_audio_embedding.word_embeddings.weight';
  const embedding = t2s.tensors.get(`model.${name}`) ?? t2s.tensors.get(name);
  if (!embedding) throw new Error(`${t2s.path} has no ${name}`);
  const [tokens = 0, width = 0] = embedding.shape;
  const table = embedding.readFloat32();
  const rowOf = (token: number): Float32Array => table.subarray(token * width, (token + 1) * width);
  const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, index) => sum + value * b[index]!, 0);
  const mute = rowOf(MUTE_TOKEN);
  return Float32Array.from(
    { length: tokens },
    (_, token) => dot(mute, rowOf(token)) / Math.sqrt(dot(mute, mute) * dot(rowOf(token), rowOf(token))),
  );
}
