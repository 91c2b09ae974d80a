import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { concatenate } from '../../src/audio/concatenate.js';
import { encodeWav } from '../../src/audio/wav.js';
import { openRuntime } from '../../src/engine/onnxruntime.js';
import { cepstra, SAMPLE_RATE_HZ } from './cepstra.js';
import { DemoModel, MODES, type Mode } from './demo-model.js';
import { averageScores, Dnsmos, hasDnsmos, type OpinionScores } from './dnsmos.js';
import { addEdits, type Edits, edits, errorRate } from './edit-distance.js';
import { hasPocketsphinx, hearEnglish, INSTALL_POCKETSPHINX, wordsOf } from './english-recogniser.js';
import { type MandarinRecogniser, readRecogniser } from './mandarin-recogniser.js';
import { type Syllable, soundOf, syllablesOf } from './mandarin-units.js';
import { trackPitch, type VoiceFigures, voiceFigures } from './pitch.js';
import { findRecordings, type Recording, readHeldOut } from './recordings.js';
import { endingTexts, HELD_OUT_PROMPTS, MANDARIN, OWN_ENGLISH } from './texts.js';
import { type TokenFigures, tokenFigures } from './token-statistics.js';
import { likeliestTone, registerOf, toneFeatures, toneShape } from './tones.js';
import { type ZeroShotFigures, zeroShot } from './zero-shot.js';

/** The human recordings, their own tokens through SoVITS, and the whole chain in its two modes. */
export const COLUMNS = ['human', 'copy', 'prompted', 'promptFree'] as const;
export type Column = (typeof COLUMNS)[number];

/** Word or syllable errors over a set. */
export interface ErrorFigures extends Edits {
  readonly rate: number;
}

export interface Count {
  readonly right: number;
  readonly total: number;
}

/** What was measured of one column; a figure is absent where what it needs is. */
export interface ColumnFigures {
  readonly englishWords?: ErrorFigures;
  /** The sentences that no human recording exists of. */
  readonly ownEnglishWords?: ErrorFigures;
  readonly wordsIdentified?: Count;
  readonly syllables?: ErrorFigures;
  readonly wordTones?: Count;
  readonly sentenceTones?: Count;
  readonly voice?: VoiceFigures;
  readonly englishVoice?: VoiceFigures;
  readonly mandarinVoice?: VoiceFigures;
  readonly opinion?: OpinionScores;
  readonly tokens?: TokenFigures;
  /** Processor time over the length of the audio. */
  readonly realTimeFactor?: number;
  readonly wallRealTimeFactor?: number;
}

export interface Heard {
  readonly column: Column;
  readonly said: string;
  readonly heard: string;
}

export interface Evaluation {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly served: Readonly<Record<'zh' | 'en', Mode>>;
  readonly quick: boolean;
  readonly columns: Readonly<Partial<Record<Column, ColumnFigures>>>;
  readonly english: readonly Heard[];
  /** How far references of new speakers carry the voice; empty without recordings. */
  readonly zeroShot: readonly ZeroShotFigures[];
  /** What could not be measured and why. */
  readonly missing: readonly string[];
}

export interface EvaluationOptions {
  readonly modelDir: string;
  readonly dataDir: string | null;
  readonly qualityDir: string;
  readonly quick: boolean;
  /** Figures of the human recordings that need not be measured again; null measures them. */
  readonly human: ColumnFigures | null;
  /** Which columns to measure, besides people's. */
  readonly measured: readonly Column[];
  /** Keep what was heard as WAV files here. */
  readonly wavesDir: string | null;
  readonly onProgress: (message: string) => void;
}

const RECOGNISER = join(import.meta.dirname, 'data/recogniser.safetensors');
/** Recognisers of English that listen at once; each is a process. */
const LISTENERS = 3;
/** Words in one sentence of set-together recordings, and the silence between them. */
const GLUED_WORDS = 4;
const GLUE_SILENCE_SAMPLES = 0.06 * SAMPLE_RATE_HZ;

/** A recording or rendering with what is said in it. */
interface Utterance {
  readonly text: string;
  readonly samples: Float32Array;
}

interface MandarinUtterance extends Utterance {
  readonly syllables: readonly Syllable[];
}

interface Material {
  readonly english: readonly Utterance[];
  readonly ownEnglish: readonly Utterance[];
  readonly words: readonly MandarinUtterance[];
  readonly sentences: readonly MandarinUtterance[];
}

/** Measures a demo model and, where there are recordings, people beside it. Throws where the model cannot be imported. */
export async function evaluate(options: EvaluationOptions): Promise<Evaluation> {
  const { onProgress, quick } = options;
  const missing: string[] = [];
  const sphinx = hasPocketsphinx();
  if (!sphinx) missing.push(INSTALL_POCKETSPHINX);
  const quality = hasDnsmos(options.qualityDir);
  if (!quality) missing.push(`DNSMOS: no models in "${options.qualityDir}"; pass --quality DIR or set TIMBRE_QUALITY`);
  if (!options.dataDir) missing.push('human recordings and copy-synthesis: no recordings; pass --data DIR');
  const recogniser = readRecogniser(RECOGNISER);
  const runtime = openRuntime({ threads: 1 });
  const dnsmos = quality ? new Dnsmos(options.qualityDir, runtime) : null;
  const model = await DemoModel.open(options.modelDir);
  const english: Heard[] = [];
  const columns: Partial<Record<Column, ColumnFigures>> = {};
  const texts = chooseTexts(quick);
  const closedSet: Syllable[][] = [];
  for (const word of readHeldOut().mandarinWords) {
    closedSet.push(syllablesOf((await model.phonemes(`${word}。`, 'zh')).phonemes));
  }

  const measureMaterial = async (column: Column, material: Material): Promise<ColumnFigures> => {
    if (options.wavesDir) keepWaves(options.wavesDir, column, material);
    onProgress(`${column}: listening`);
    const hear = async (utterances: readonly Utterance[]): Promise<ErrorFigures> => {
      const heard = await several(utterances, ({ samples }) => hearEnglish(samples));
      for (const [index, { text }] of utterances.entries()) english.push({ column, said: text, heard: heard[index]! });
      return errorsOf(utterances.map(({ text }, index) => edits(wordsOf(text), wordsOf(heard[index]!))));
    };
    return {
      ...(sphinx && { englishWords: await hear(material.english) }),
      ...(sphinx && material.ownEnglish.length > 0 && { ownEnglishWords: await hear(material.ownEnglish) }),
      ...mandarinFigures(recogniser, material, closedSet),
      ...voices(material),
      ...(dnsmos && {
        opinion: averageScores(
          [...material.english, ...material.sentences].map(({ samples }) => dnsmos.score(samples)),
        ),
      }),
    };
  };

  try {
    if (options.dataDir) {
      onProgress('reading recordings');
      const human = await humanMaterial(options.dataDir, texts, model);
      columns.human = options.human ?? (await measureMaterial('human', human));
      if (options.measured.includes('copy')) {
        onProgress('copy: through SoVITS');
        columns.copy = await measureMaterial('copy', await copied(human, model));
      }
    }
    for (const mode of MODES.filter((one) => options.measured.includes(one))) {
      onProgress(`${mode}: speaking`);
      const { material, ...speed } = await spoken(texts, model, mode);
      const figures = await measureMaterial(mode, material);
      onProgress(`${mode}: tokens of ${texts.endings.length} sentences`);
      const tokens = tokenFigures(await model.tokens(texts.endings, mode));
      columns[mode] = { ...figures, ...speed, tokens };
    }
    if (options.dataDir) onProgress('references of new speakers');
    const newVoices = options.dataDir ? await zeroShot(model, options.dataDir, quick) : [];
    const { digest, sizeBytes, served } = model;
    return { digest, sizeBytes, served, quick, columns, english, zeroShot: newVoices, missing };
  } finally {
    dnsmos?.close();
    await model.close();
  }
}

function chooseTexts(quick: boolean) {
  const every = <T>(all: readonly T[], step: number) => (quick ? all.filter((_, i) => i % step === 0) : [...all]);
  return {
    prompts: every(HELD_OUT_PROMPTS, 4),
    own: every(OWN_ENGLISH, 5),
    words: every(readHeldOut().mandarinWords, 4),
    sentences: every(MANDARIN, 4),
    endings: every(endingTexts(), 5),
  };
}

type Texts = ReturnType<typeof chooseTexts>;

async function humanMaterial(folder: string, texts: Texts, model: DemoModel): Promise<Material> {
  const recordings = findRecordings(folder);
  checkUnseen(recordings);
  const byKey = new Map<string, Recording>();
  for (const recording of recordings) if (!byKey.has(recording.key)) byKey.set(recording.key, recording);
  const load = async (key: string): Promise<Utterance> => {
    const found = byKey.get(key);
    if (!found) throw new Error(`"${folder}" lacks the held-out recording ${key}; prepare the data from whole corpora`);
    return { text: found.text, samples: await found.load() };
  };
  const english: Utterance[] = [];
  for (const [key] of texts.prompts) english.push(await load(key));
  const words: MandarinUtterance[] = [];
  for (const word of texts.words) words.push(await withSyllables(model, await load(word)));
  const sentences: MandarinUtterance[] = [];
  for (let at = 0; at + GLUED_WORDS <= words.length; at += GLUED_WORDS) {
    sentences.push(glue(words.slice(at, at + GLUED_WORDS)));
  }
  return { english, ownEnglish: [], words, sentences };
}

/** No evaluated sentence may be one that was learnt. */
function checkUnseen(recordings: readonly Recording[]): void {
  const plain = (text: string) => wordsOf(text).join(' ');
  const evaluated = new Set([...HELD_OUT_PROMPTS.map(([, text]) => text), ...OWN_ENGLISH].map(plain));
  const { arcticPrompts } = readHeldOut();
  const learnt = recordings.find(
    ({ language, key, text }) => language === 'en' && !arcticPrompts.has(key) && evaluated.has(plain(text)),
  );
  if (learnt) throw new Error(`"${learnt.text}" is evaluated and is in the training text; choose another`);
}

/** Words set beside each other, as the recipe makes its sentences. */
function glue(words: readonly MandarinUtterance[]): MandarinUtterance {
  const silence = new Float32Array(GLUE_SILENCE_SAMPLES);
  return {
    text: words.map(({ text }) => text).join(' '),
    samples: concatenate(words.flatMap(({ samples }, index) => (index > 0 ? [silence, samples] : [samples]))),
    syllables: words.flatMap(({ syllables }) => syllables),
  };
}

async function copied(human: Material, model: DemoModel): Promise<Material> {
  const copy = async <T extends Utterance>(utterances: readonly T[], language: 'zh' | 'en'): Promise<T[]> => {
    const out: T[] = [];
    for (const one of utterances) {
      const text = language === 'zh' ? `${one.text}。` : one.text;
      out.push({ ...one, samples: await model.copy(one.samples, text, language) });
    }
    return out;
  };
  return {
    english: await copy(human.english, 'en'),
    ownEnglish: [],
    words: await copy(human.words, 'zh'),
    sentences: await copy(human.sentences, 'zh'),
  };
}

async function spoken(
  texts: Texts,
  model: DemoModel,
  mode: Mode,
): Promise<{ material: Material; realTimeFactor: number; wallRealTimeFactor: number }> {
  // The first run of a voice loads the networks.
  for (const language of ['zh', 'en'] as const) {
    await model.speak(language === 'zh' ? '你好。' : 'Hello there.', language, mode);
  }
  const total = { audio: 0, processor: 0, wall: 0 };
  const say = async (text: string, language: 'zh' | 'en'): Promise<Utterance> => {
    const one = await model.speak(text, language, mode);
    total.audio += one.audioSeconds;
    total.processor += one.processorSeconds;
    total.wall += one.wallSeconds;
    return { text, samples: one.samples };
  };
  const all = async (list: readonly string[], language: 'zh' | 'en'): Promise<Utterance[]> => {
    const out: Utterance[] = [];
    for (const text of list) out.push(await say(text, language));
    return out;
  };
  const mandarin = async (list: readonly string[]): Promise<MandarinUtterance[]> => {
    const out: MandarinUtterance[] = [];
    for (const one of await all(list, 'zh')) out.push(await withSyllables(model, one));
    return out;
  };
  const material = {
    english: await all(
      texts.prompts.map(([, text]) => text),
      'en',
    ),
    ownEnglish: await all(texts.own, 'en'),
    words: await mandarin(texts.words.map((word) => `${word}。`)),
    sentences: await mandarin(texts.sentences),
  };
  return { material, realTimeFactor: total.processor / total.audio, wallRealTimeFactor: total.wall / total.audio };
}

async function withSyllables(model: DemoModel, one: Utterance): Promise<MandarinUtterance> {
  const text = /[。？！]$/u.test(one.text) ? one.text : `${one.text}。`;
  return { ...one, syllables: syllablesOf((await model.phonemes(text, 'zh')).phonemes) };
}

function mandarinFigures(
  recogniser: MandarinRecogniser,
  { words, sentences }: Material,
  closedSet: readonly (readonly Syllable[])[],
): ColumnFigures {
  const soundsOf = (syllables: readonly Syllable[]) => syllables.map(soundOf).join(' ');
  const heardWords = recogniser.hear(words.map(({ samples }) => cepstra(samples))).features;
  const heardSentences = recogniser.hear(sentences.map(({ samples }) => cepstra(samples))).features;
  const right = heardWords.filter(
    (heard, index) => soundsOf(closedSet[recogniser.identify(heard, closedSet)]!) === soundsOf(words[index]!.syllables),
  ).length;
  const syllables = heardSentences.map((heard, index) =>
    edits(sentences[index]!.syllables.map(soundOf), recogniser.recognise(heard)),
  );
  return {
    wordsIdentified: { right, total: words.length },
    syllables: errorsOf(syllables),
    wordTones: tonesRight(recogniser, words, heardWords),
    sentenceTones: tonesRight(recogniser, sentences, heardSentences),
  };
}

/** Full tones (1 to 4) that the pitch says; a syllable without pitch is wrong. */
function tonesRight(
  recogniser: MandarinRecogniser,
  utterances: readonly MandarinUtterance[],
  heard: ReturnType<MandarinRecogniser['hear']>['features'],
): Count {
  const tracks = utterances.map(({ samples }) => trackPitch(samples));
  const register = registerOf(tracks);
  let right = 0;
  let total = 0;
  for (const [index, { syllables }] of utterances.entries()) {
    const spans = recogniser.alignFinals(heard[index]!, syllables) ?? [];
    const shapes = spans.map((span) => toneShape(tracks[index]!, span, register));
    for (const [at, { tone }] of syllables.entries()) {
      if (tone > 4) continue;
      total++;
      const shape = shapes[at];
      if (!shape) continue;
      const features = toneFeatures(shape, shapes[at - 1] ?? null, shapes[at + 1] ?? null);
      if (likeliestTone(recogniser.model.tones, features) === tone) right++;
    }
  }
  return { right, total };
}

function voices({ english, words }: Material): ColumnFigures {
  const [en, zh] = [english, words].map((set) => set.map(({ samples }) => trackPitch(samples))) as [
    ReturnType<typeof trackPitch>[],
    ReturnType<typeof trackPitch>[],
  ];
  return { voice: voiceFigures([...en, ...zh]), englishVoice: voiceFigures(en), mandarinVoice: voiceFigures(zh) };
}

/** Works on a few items at a time; results in the items' order. */
async function several<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: LISTENERS }, worker));
  return results;
}

function errorsOf(all: readonly Edits[]): ErrorFigures {
  const sum = addEdits(all);
  return { ...sum, rate: errorRate(sum) };
}

function keepWaves(folder: string, column: Column, material: Material): void {
  mkdirSync(folder, { recursive: true });
  for (const [set, utterances] of Object.entries(material) as [keyof Material, readonly Utterance[]][]) {
    for (const [index, { samples }] of utterances.entries()) {
      writeFileSync(join(folder, `${set}-${index}-${column}.wav`), encodeWav(samples, SAMPLE_RATE_HZ));
    }
  }
}
