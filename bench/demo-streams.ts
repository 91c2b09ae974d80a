import { createEngine } from '../src/engine/engine.js';
import { startInferenceThreads } from '../src/engine/inference-threads.js';
import { ModelStore } from '../src/engine/model-store.js';
import { openSpeechModel } from '../src/engine/speech-model.js';
import { VoiceStore } from '../src/engine/voice-store.js';
import { splitSentences, textToPhonemes } from '../src/text/frontend.js';

/** A sentence of a demo voice after text-to-semantic. */
export interface DemoSentence {
  readonly voice: string;
  readonly seed: number;
  readonly phonemeIds: readonly number[];
  readonly tokens: readonly number[];
  readonly globalEmbedding: Float32Array;
}

const TEXTS = {
  demo: [
    '今天天气很好。',
    '您好，欢迎致电客户服务中心。',
    '请问有什么可以帮您？',
    '您的订单已经发货，预计明天下午送到。',
    '请保持电话畅通。',
    '如果您有任何意见，请在提示音之后留言。',
    '我们一起去公园散步吧。',
    '顺便买一些水果回来。',
    '这个问题并不难。',
    '只要认真思考，就可以找到答案。',
  ],
  'demo-en': [
    'The weather is very good today.',
    'Your order has been shipped.',
    'It will arrive tomorrow afternoon.',
    'Thank you for calling our customer service.',
    'How can we help you this morning?',
    'He turned sharply, and faced Gregson across the table.',
    'There was a change now.',
    'The men in the north country knew that it was coming.',
    'We are going for a long walk in the park.',
    'Please hold the line.',
  ],
} as const;

/** Tokens of `count` sentences of the two demo voices, each text with several seeds; `dataDir` is filled where empty. */
export async function demoSentences(dataDir: string, count: number, threadCount = 2): Promise<DemoSentence[]> {
  await (await createEngine({ dataDir, threads: threadCount })).close();
  const threads = startInferenceThreads(dataDir, threadCount);
  try {
    const store = new ModelStore(dataDir);
    const model = openSpeechModel(store.load('demo'), store, threads);
    const voices = new VoiceStore(dataDir);
    const speak = async (index: number): Promise<DemoSentence> => {
      const name = index % 2 === 0 ? 'demo' : 'demo-en';
      const language = name === 'demo' ? 'zh' : 'en';
      const texts = TEXTS[name];
      const text = texts[(index >> 1) % texts.length] ?? '';
      const seed = 1 + Math.floor((index >> 1) / texts.length);
      const voice = await voices.load(name);
      const [sentence = text] = splitSentences(text, { method: 'cut0', language, symbols: model.symbols });
      const phonemes = await textToPhonemes(sentence, { language, symbols: model.symbols });
      const tokens: number[] = [];
      const input = { voice, phonemes, bertFeatures: null, sampling: undefined, seed, sentenceIndex: 0 };
      for await (const piece of model.semanticTokens(input)) tokens.push(...piece.tokens);
      return { voice: name, seed, phonemeIds: phonemes.phonemeIds, tokens, globalEmbedding: voice.globalEmbedding };
    };
    const sentences: DemoSentence[] = [];
    for (let index = 0; index < count; index += 8) {
      const group = Array.from({ length: Math.min(8, count - index) }, (_, offset) => speak(index + offset));
      sentences.push(...(await Promise.all(group)));
    }
    return sentences;
  } finally {
    await threads.close();
  }
}
