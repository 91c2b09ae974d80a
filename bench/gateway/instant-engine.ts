import type { CreateEngine, ModelSummary, VoiceSummary } from '../../src/engine/engine-types.js';
import { compareReadings, convertLexicon, readLexicon } from '../../src/engine/lexicon-work.js';

/** An engine that needs no time: whatever a request takes is the server's own. Each sentence is a window of 12 tokens. */
export const SAMPLE_RATE_HZ = 32_000;

const MODEL: ModelSummary = {
  name: 'instant',
  version: 'v2',
  sampleRateHz: SAMPLE_RATE_HZ,
  sizeBytes: 1,
  digest: '0'.repeat(64),
  precision: 'fp32',
  hasBert: false,
  createdAt: '2026-01-01T00:00:00.000Z',
  warnings: [],
};
const VOICE: VoiceSummary = {
  name: 'demo',
  language: 'en',
  transcript: null,
  model: MODEL.name,
  durationMs: 3000,
  createdAt: MODEL.createdAt,
  warnings: [],
};

/** 0.48 s: what a listener gets first. */
const WINDOW = Float32Array.from({ length: 0.48 * SAMPLE_RATE_HZ }, () => Math.random() - 0.5);

export const createEngine: CreateEngine = async () => ({
  info: { runtime: 'instant', threads: 1, defaultVoice: VOICE.name, defaultModel: MODEL.name },
  async *synthesize({ text }) {
    const sentenceCount = text.split('.').filter((sentence) => sentence.trim() !== '').length;
    for (let sentenceIndex = 0; sentenceIndex < sentenceCount; sentenceIndex++) {
      yield { samples: WINDOW.slice(), sampleRateHz: SAMPLE_RATE_HZ, sentenceIndex, sentenceCount };
    }
  },
  sourcesDigest: async ({ voice }) => voice,
  enrolVoice: async () => VOICE,
  checkRecordings: async () => [],
  prepareVoice: async () => ({
    summary: VOICE,
    modelDigest: MODEL.digest,
    profile: new Uint8Array(),
    digest: MODEL.digest,
    checks: [],
  }),
  compareSpeakers: async () => null,
  checkAdapter: async () => ({ model: MODEL.name, text2semanticRank: 1, sovitsRank: 0, parameterCount: 0 }),
  listVoices: async () => [VOICE],
  removeVoice: async () => {},
  listModels: async () => [MODEL],
  importModel: async () => MODEL,
  inspectModel: async () => ({ ...MODEL, networks: [], settings: {}, quality: [] }),
  readLexicon,
  convertLexicon: async (...parameters) => convertLexicon(...parameters),
  compareReadings,
  verify: async () => [],
  async close() {},
});
