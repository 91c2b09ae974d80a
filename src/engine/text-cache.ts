import type { FixedReading, LanguageMode, PhonemeSentence } from '../text/language.js';
import { BoundedCache, type CacheStatistics } from './bounded-cache.js';

/**
 * What the text of a sentence became: its phonemes, and the hidden states of BERT for its characters. A sentence that was
 * said before, whatever the voice, skips the front end (about 4 ms) and BERT (most of the way to the first audio of a
 * Chinese sentence). Nothing that one tenant said answers another: how fast an answer comes would tell who said it before.
 */
export class TextCache {
  readonly #entries: BoundedCache<PhonemeSentence | Float32Array>;

  constructor(maxBytes: number) {
    this.#entries = new BoundedCache(maxBytes);
  }

  get statistics(): CacheStatistics {
    return this.#entries.statistics;
  }

  /** `options` is everything besides the text that decides the reading. */
  async phonemes(
    tenant: string,
    text: string,
    options: { readonly language: LanguageMode; readonly readings?: readonly FixedReading[] },
    read: () => Promise<PhonemeSentence>,
  ): Promise<PhonemeSentence> {
    const key = `${tenant}\0phonemes\0${JSON.stringify(options)}\0${text}`;
    const known = this.#entries.get(key);
    if (known && !(known instanceof Float32Array)) return known;
    const sentence = await read();
    // Objects of short strings take a few times what they take written down.
    this.#entries.set(key, sentence, 4 * JSON.stringify(sentence).length);
    return sentence;
  }

  /** Hidden states by the token ids that BERT reads; callers must not write into them. */
  async hiddenStates(
    tenant: string,
    bertDigest: string,
    ids: readonly number[],
    run: () => Promise<Float32Array>,
  ): Promise<Float32Array> {
    const key = `${tenant}\0bert\0${bertDigest}\0${ids.join(' ')}`;
    const known = this.#entries.get(key);
    if (known instanceof Float32Array) return known;
    const states = await run();
    this.#entries.set(key, states, states.byteLength);
    return states;
  }
}
