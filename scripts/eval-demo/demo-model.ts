import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatenate } from '../../src/audio/concatenate.js';
import { resampleHighQuality } from '../../src/audio/resample.js';
import { encodeWav } from '../../src/audio/wav.js';
import type { ComponentKind } from '../../src/engine/component-store.js';
import { ensureDemoVoice } from '../../src/engine/demo-voice.js';
import { createEngine } from '../../src/engine/engine.js';
import type { Engine, SamplingOptions } from '../../src/engine/engine-types.js';
import { encodePrompt } from '../../src/engine/enrol-voice.js';
import { enrolmentNetworks } from '../../src/engine/enrolment-networks.js';
import { ModelStore } from '../../src/engine/model-store.js';
import { openRuntime, type Session } from '../../src/engine/onnxruntime.js';
import { fillNormal, RANDOM_STREAM } from '../../src/engine/random.js';
import { SemanticDecoder } from '../../src/engine/semantic-decoder.js';
import type { VoiceProfile } from '../../src/engine/voice-profile.js';
import { VoiceStore } from '../../src/engine/voice-store.js';
import { WaveformDecoder, type WaveformSessions } from '../../src/engine/waveform-decoder.js';
import type { ModelSpec } from '../../src/models/model-spec.js';
import { SPEAKING_GRAPHS } from '../../src/models/sovits/sovits.js';
import type { Text2SemanticSettings } from '../../src/models/text2semantic.js';
import { textToPhonemes } from '../../src/text/frontend.js';
import type { PhonemeSentence } from '../../src/text/language.js';
import { SAMPLE_RATE_HZ } from './cepstra.js';
import type { EvaluationText } from './texts.js';
import type { TokenRun } from './token-statistics.js';

/** With the reference recording as prompt, or with its style alone. */
export type Mode = 'prompted' | 'promptFree';
export const MODES: readonly Mode[] = ['prompted', 'promptFree'];

type Language = EvaluationText['language'];

/** What the waveform decoder's noise and the sampler draw from, in every evaluation. */
const SEED = 7;
const MARKS: ReadonlySet<string> = new Set(['!', '?', '…', ',', '.', '-', 'SP', 'SP2', 'SP3', 'UNK', '_']);
/** As the engine bounds a sentence (speech-model.ts). */
const MAX_TOKENS_PER_PHONEME = 10;
const MAX_PAUSE_TOKENS = 50;

interface Description {
  readonly sampling: SamplingOptions;
  readonly voices: readonly {
    readonly name: string;
    readonly recording: string;
    readonly language: Language;
    readonly transcript: string;
    readonly promptFree: boolean;
  }[];
}

/** Speech and what it took. */
export interface Spoken {
  /** Mono at 16 kHz. */
  readonly samples: Float32Array;
  readonly audioSeconds: number;
  /** Of all threads of the process. */
  readonly processorSeconds: number;
  readonly wallSeconds: number;
}

/** The demo model of a folder in our engine on one thread, over a data folder of its own; `close` removes that. */
export class DemoModel {
  readonly spec: ModelSpec;
  /** How each language's voice is served. */
  readonly served: Readonly<Record<Language, Mode>>;
  readonly sizeBytes: number;
  readonly digest: string;
  readonly #engine: Engine;
  readonly #dataDir: string;
  readonly #voices: Readonly<Record<Language, Readonly<Record<Mode, VoiceProfile>>>>;
  readonly #sampling: SamplingOptions;
  readonly #settings: Text2SemanticSettings;
  readonly #decoder: SemanticDecoder;
  readonly #waveform: WaveformDecoder;
  readonly #networks: ReturnType<typeof enrolmentNetworks>;
  readonly #sessions: readonly Session[];

  /** Imports the model, enrols each of its voices both ways, and opens the networks that copy-synthesis needs. */
  static async open(folder: string): Promise<DemoModel> {
    checkModelFolder(folder);
    const dataDir = mkdtempSync(join(tmpdir(), 'timbre-eval-'));
    const engine = await createEngine({ dataDir, threads: 1, importDemo: false });
    try {
      await ensureDemoVoice(engine, folder);
      const description = JSON.parse(readFileSync(join(folder, 'demo-voice.json'), 'utf8')) as Description;
      const store = new VoiceStore(dataDir);
      const profiles: Partial<Record<Language, Record<Mode, VoiceProfile>>> = {};
      for (const voice of description.voices) {
        const enrol = async (mode: Mode) => {
          const name = voiceName(voice.language, mode);
          await engine.enrolVoice({
            name,
            recordings: [{ path: join(folder, voice.recording) }],
            transcript: mode === 'prompted' ? voice.transcript : null,
            language: voice.language,
            replace: true,
          });
          return store.load(name);
        };
        profiles[voice.language] ??= { prompted: await enrol('prompted'), promptFree: await enrol('promptFree') };
      }
      const { zh, en } = profiles;
      if (!zh || !en) throw new Error(`"${folder}/demo-voice.json" must describe a Mandarin and an English voice`);
      return new DemoModel(folder, description, engine, dataDir, { zh, en });
    } catch (error) {
      await engine.close();
      rmSync(dataDir, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(
    folder: string,
    description: Description,
    engine: Engine,
    dataDir: string,
    voices: Record<Language, Record<Mode, VoiceProfile>>,
  ) {
    this.#engine = engine;
    this.#dataDir = dataDir;
    this.#voices = voices;
    this.#sampling = description.sampling;
    this.sizeBytes = sizeOfModelFiles(folder);
    const mode = (language: Language): Mode =>
      description.voices.find((voice) => voice.language === language)?.promptFree ? 'promptFree' : 'prompted';
    this.served = { zh: mode('zh'), en: mode('en') };

    const store = new ModelStore(dataDir);
    const model = store.load(store.names()[0]!);
    const runtime = openRuntime({ threads: 1 });
    const sessions: Session[] = [];
    const open = (kind: ComponentKind, graph: string): Session => {
      const manifest = model.manifests[kind];
      if (!manifest) throw new Error(`the model in "${folder}" has no ${kind}`);
      const session = store.components.createSession(manifest, graph, runtime);
      sessions.push(session);
      return session;
    };
    this.digest = model.digest;
    this.spec = model.manifests.sovits!.settings as ModelSpec;
    this.#settings = model.manifests.text2semantic!.settings as Text2SemanticSettings;
    this.#decoder = new SemanticDecoder(open('text2semantic', 'text2semantic'), this.#settings);
    sessions.pop(); // the decoder closes its own
    this.#networks = enrolmentNetworks({
      hubert: open('hubert', 'hubert'),
      quantizer: open('sovits', 'quantizer'),
      style: open('sovits', 'style'),
      speaker: null,
    });
    this.#sessions = [...sessions];
    const speaking = Object.fromEntries(SPEAKING_GRAPHS.map((graph) => [graph, open('sovits', graph)]));
    this.#waveform = new WaveformDecoder(this.spec, speaking as unknown as WaveformSessions);
  }

  /** The whole chain, as a request to the server takes it. */
  async speak(text: string, language: Language, mode: Mode, seed = SEED): Promise<Spoken> {
    const startedAt = performance.now();
    const before = process.cpuUsage();
    const pieces: Float32Array[] = [];
    const request = { text, voice: voiceName(language, mode), language, speed: 1, seed };
    for await (const chunk of this.#engine.synthesize(request)) pieces.push(chunk.samples);
    const used = process.cpuUsage(before);
    const samples = concatenate(pieces);
    return {
      samples: this.#at16k(samples),
      audioSeconds: samples.length / this.spec.sampleRateHz,
      processorSeconds: (used.user + used.system) / 1e6,
      wallSeconds: (performance.now() - startedAt) / 1000,
    };
  }

  /** Enrols a recording of anybody as a prompt-free voice; `speakAs` takes the name. */
  async enrol(name: string, recording: Float32Array, language: Language): Promise<void> {
    const path = join(this.#dataDir, `${name}.wav`);
    writeFileSync(path, encodeWav(recording, SAMPLE_RATE_HZ));
    await this.#engine.enrolVoice({ name, recordings: [{ path }], transcript: null, language, replace: true });
  }

  /** A text by a voice of `enrol`, or by the served voice of a language. */
  async speakAs(text: string, language: Language, voice: string | null): Promise<Float32Array> {
    const pieces: Float32Array[] = [];
    const request = { text, voice: voice ?? voiceName(language, 'promptFree'), language, speed: 1, seed: SEED };
    for await (const chunk of this.#engine.synthesize(request)) pieces.push(chunk.samples);
    return this.#at16k(concatenate(pieces));
  }

  /** A recording's own tokens through SoVITS in the voice of its language: what the chain could be at best. */
  async copy(recording: Float32Array, text: string, language: Language): Promise<Float32Array> {
    const phonemes = await this.phonemes(text, language);
    const networks = { ...this.#networks, spec: this.spec, bertFeatures: () => null };
    const prompt = await encodePrompt({ samples: recording, sampleRateHz: SAMPLE_RATE_HZ }, phonemes, networks);
    if (!prompt) throw new Error('the model has no token encoder');
    const windows = this.#waveform.decodeSentence({
      semanticTokens: prompt.semanticTokens,
      phonemeIds: prompt.phonemeIds,
      globalEmbedding: this.#voices[language].promptFree.globalEmbedding,
      noise: (frame, out) => fillNormal(out, { seed: SEED, sentence: 0 }, frame, RANDOM_STREAM.waveform),
    });
    return this.#at16k(concatenate([...windows]));
  }

  /** Tokens of many sentences, several side by side. */
  async tokens(texts: readonly EvaluationText[], mode: Mode): Promise<TokenRun[]> {
    const runs: TokenRun[] = [];
    const waiting = [...texts.entries()];
    const open = new Map<number, { index: number; tokens: number[]; phonemes: number }>();
    while (waiting.length > 0 || open.size > 0) {
      const events = this.#decoder.step();
      while (waiting.length > 0 && this.#decoder.size < this.#decoder.capacity) {
        const [index, { text, language }] = waiting.shift()!;
        const sentence = await this.phonemes(text, language);
        const { prompt } = this.#voices[language][mode];
        const event = this.#decoder.addRow({
          phonemeIds: [...(prompt?.phonemeIds ?? []), ...sentence.phonemeIds],
          bertFeatures: null,
          promptSemantic: prompt?.semanticTokens ?? null,
          sampling: this.#sampling,
          seed: SEED,
          sentenceKey: index,
          maxNewTokens: MAX_PAUSE_TOKENS + MAX_TOKENS_PER_PHONEME * sentence.phonemeIds.length,
        });
        const sounding = sentence.phonemes.filter((phoneme) => !MARKS.has(phoneme)).length;
        open.set(event.row, { index, tokens: [], phonemes: sounding });
        events.push(event);
      }
      for (const { row, token, finished } of events) {
        const run = open.get(row);
        if (!run) continue;
        if (token !== null && finished === null) run.tokens.push(token);
        if (finished === null) continue;
        runs[run.index] = { tokens: run.tokens, phonemes: run.phonemes, ended: finished === 'end' };
        open.delete(row);
      }
    }
    return runs;
  }

  phonemes(text: string, language: Language): Promise<PhonemeSentence> {
    return textToPhonemes(text, { language, symbols: this.spec.symbolTable });
  }

  async close(): Promise<void> {
    this.#decoder.close();
    this.#waveform.close();
    for (const session of this.#sessions) session.close();
    await this.#engine.close();
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  #at16k(samples: Float32Array): Float32Array {
    return resampleHighQuality(samples, this.spec.sampleRateHz, SAMPLE_RATE_HZ);
  }
}

/** Throws where a folder lacks a part of a demo model, and says which. */
export function checkModelFolder(folder: string): void {
  const parts = [
    's1.ckpt',
    's2.pth',
    'token-encoder/config.json',
    'token-encoder/model.safetensors',
    'demo-voice.json',
  ];
  const missing = parts.filter((name) => !existsSync(join(folder, name)));
  if (missing.length === 0) return;
  throw new Error(
    `"${folder}" lacks ${missing.join(', ')}; a demo model is s1.ckpt, s2.pth, token-encoder/, and demo-voice.json with the recordings it names`,
  );
}

/** The files a demo model consists of, relative to its folder: those that are there. */
export function modelFiles(folder: string): string[] {
  const recordings = readdirSync(folder).filter((name) => /^ref_.*\.(wav|flac|ogg|opus)$/.test(name));
  const encoder = readdirSync(join(folder, 'token-encoder')).map((name) => join('token-encoder', name));
  return ['demo-voice.json', 's1.ckpt', 's2.pth', ...recordings, ...encoder];
}

function sizeOfModelFiles(folder: string): number {
  return modelFiles(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function voiceName(language: Language, mode: Mode): string {
  return `${language}-${mode === 'prompted' ? 'prompted' : 'free'}`;
}
