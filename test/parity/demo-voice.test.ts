import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.js';
import type { ComponentKind } from '../../src/engine/component-store.js';
import { enrolmentNetworks } from '../../src/engine/enrolment-networks.js';
import { importModel } from '../../src/engine/import-model.js';
import { ModelStore, type StoredModel } from '../../src/engine/model-store.js';
import { openRuntime, type Runtime, type Session } from '../../src/engine/onnxruntime.js';
import { SemanticDecoder } from '../../src/engine/semantic-decoder.js';
import { WaveformDecoder, type WaveformSessions } from '../../src/engine/waveform-decoder.js';
import type { ModelSpec } from '../../src/models/model-spec.js';
import { SPEAKING_GRAPHS } from '../../src/models/sovits/sovits.js';
import type { Text2SemanticSettings } from '../../src/models/text2semantic.js';
import { defaultReferenceFolder } from './reference.js';

/**
 * The starter model, imported and run by our engine, against its evaluation by the PyTorch classes of the reference
 * implementation: five texts, greedy, without noise. Weights and cases lie together beside the repository, since the
 * model in `demo-voice/` goes on being trained.
 */
const STARTER = resolve(dirname(defaultReferenceFolder()), 'demo-voice');
const CASES = join(STARTER, 'cases');
/** fp32 on both sides; convolutions are summed in another order. */
const WAVE_TOLERANCE = 1e-3;

describe('the starter model', () => {
  const folder = mkdtempSync(join(tmpdir(), 'timbre-demo-'));
  let runtime: Runtime;
  let store: ModelStore;
  let model: StoredModel;
  const sessions: Session[] = [];

  const open = (kind: ComponentKind, graph: string): Session => {
    const session = store.components.createSession(model.manifests[kind]!, graph, runtime);
    sessions.push(session);
    return session;
  };

  beforeAll(() => {
    if (!existsSync(CASES)) {
      throw new Error(
        `no cases of the starter model at ${CASES}; set TIMBRE_REFERENCE to the reference folder beside them`,
      );
    }
    runtime = openRuntime({ threads: 2 });
    store = new ModelStore(folder);
    const paths = ['s1.ckpt', 's2.pth', 'ssl'].map((name) => join(STARTER, name));
    importModel({ name: 'demo', paths }, store, runtime);
    model = store.load('demo');
  });

  afterAll(() => {
    for (const session of sessions) session.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const file of existsSync(CASES) ? readdirSync(CASES).sort() : ['(missing)']) {
    it(`gives the tokens and the waveform of ${file}`, () => {
      const reference = openCheckpoint(join(CASES, file));
      const metadata = reference.data['__metadata__'] as Record<string, string>;
      const ints = (name: string): Int32Array => reference.tensors.get(name)!.readInt32();
      const floats = (name: string): Float32Array => reference.tensors.get(name)!.readFloat32();

      const networks = enrolmentNetworks({
        hubert: open('hubert', 'hubert'),
        quantizer: open('sovits', 'quantizer'),
        style: open('sovits', 'style'),
        speaker: null,
      });
      const wave = floats('reference_wave');
      // The evaluation appended 0.1 s of silence to the recording.
      const padded = new Float32Array(wave.length + 1600);
      padded.set(wave);
      expect(networks.semanticTokens!(padded)).toEqual(ints('reference_codes'));

      const settings = model.manifests.text2semantic!.settings as Text2SemanticSettings;
      const decoder = new SemanticDecoder(open('text2semantic', 'text2semantic'), settings, { rows: 1 });
      const tokens: number[] = [];
      let event = decoder.addRow({
        phonemeIds: ints('phoneme_ids'),
        bertFeatures: null,
        promptSemantic: metadata['prompted'] === 'True' ? ints('reference_codes') : null,
        sampling: { topK: 1, topP: 1, temperature: 1, repetitionPenalty: 1.35 },
        seed: 0,
        sentenceKey: 0,
        maxNewTokens: 300,
      });
      for (;;) {
        if (event.token !== null) tokens.push(event.token);
        if (event.finished) break;
        event = decoder.step()[0]!;
      }
      expect(tokens).toEqual([...ints('tokens')]);

      const spec = model.manifests.sovits!.settings as ModelSpec;
      const spectrogram = reference.tensors.get('reference_spectrogram')!;
      const globalEmbedding = networks.globalEmbedding(spectrogram.readFloat32(), spectrogram.shape[1]!, null);
      const speaking = Object.fromEntries(SPEAKING_GRAPHS.map((graph) => [graph, open('sovits', graph)]));
      const waveform = new WaveformDecoder(spec, speaking as unknown as WaveformSessions);
      const windows = waveform.decodeSentence({
        semanticTokens: tokens,
        phonemeIds: ints('target_phoneme_ids'),
        globalEmbedding,
        noise: () => {},
        noiseScale: 0,
      });
      const samples = [...windows].flatMap((window) => [...window]);
      const expected = floats('wave');
      expect(samples.length).toBe(expected.length);
      const deviation = samples.reduce(
        (worst, sample, index) => Math.max(worst, Math.abs(sample - expected[index]!)),
        0,
      );
      expect(deviation).toBeLessThan(WAVE_TOLERANCE);
      reference.close();
    });
  }
});
