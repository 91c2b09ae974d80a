import { type FixedReading, LANGUAGE_MODES, type Language, type LanguageMode } from './language.js';
import { languagesOf } from './language-spans.js';
import { carrierOf } from './lexicon.js';
import { ALPHABETS, type Alphabet, DEFAULT_ALPHABET, parseReading } from './readings.js';
import { sayAs } from './say-as.js';
import { SourceText } from './source-text.js';
import { parseXml, SSML, type XmlElement, xmlError } from './xml.js';

/** How a stretch of marked-up text is to be said. */
export interface Delivery {
  readonly language: LanguageMode;
  /** 1 is the request's own pace; 2 twice as fast. */
  readonly rate: number;
  /** Decibels; -Infinity is silence. */
  readonly volumeDb: number;
  readonly pitchSemitones: number;
  /** Null: the request's own voice. */
  readonly voice: string | null;
  /** A named style of the voice; null: its usual one. */
  readonly style: string | null;
}

/** What a document comes to, in order. */
export type MarkedUp =
  | {
      readonly type: 'text';
      readonly text: SourceText;
      readonly readings: readonly FixedReading[];
      readonly delivery: Delivery;
      /** Whether a sentence ends here, or only the way it is said changes. */
      readonly endsSentence: boolean;
    }
  | { readonly type: 'break'; readonly durationMs: number }
  | { readonly type: 'mark'; readonly name: string; readonly at: number };

/** Bounds of what markup may ask for. */
const LONGEST_BREAK_MS = 10_000;
const PARAGRAPH_BREAK_MS = 400;
const RATES = { 'x-slow': 0.6, slow: 0.8, medium: 1, default: 1, fast: 1.25, 'x-fast': 1.6 } as const;
const VOLUMES = { silent: -Infinity, 'x-soft': -12, soft: -6, medium: 0, default: 0, loud: 4, 'x-loud': 8 } as const;
const PITCHES = { 'x-low': -6, low: -3, medium: 0, default: 0, high: 3, 'x-high': 6 } as const;
const BREAKS = { none: 0, 'x-weak': 250, weak: 500, medium: 750, strong: 1000, 'x-strong': 1250 } as const;
const EMPHASIS = {
  strong: { rate: 0.88, volumeDb: 3 },
  moderate: { rate: 0.94, volumeDb: 1.5 },
  none: { rate: 1, volumeDb: 0 },
  reduced: { rate: 1.06, volumeDb: -3 },
} as const;

/**
 * Reads an SSML 1.1 document: `speak p s break prosody say-as phoneme sub lang voice mark emphasis w token` and Azure's
 * `mstts:express-as` and `bookmark`. Metadata is passed over; any other element is an error, rather than a silent loss.
 *
 * Throws SSML_INVALID with line and column.
 */
export async function readSsml(document: string, language: LanguageMode): Promise<MarkedUp[]> {
  const root = parseXml(document, SSML);
  const reader = new SsmlReader(document);
  const base: Delivery = { language, rate: 1, volumeDb: 0, pitchSemitones: 0, voice: null, style: null };
  await reader.children(root, { ...base, language: rootLanguage(root, language) });
  reader.flush(true);
  return reader.found;
}

/** The document's own language decides only which language Han characters are in: its text may mix several. */
function rootLanguage(root: XmlElement, language: LanguageMode): LanguageMode {
  if (language !== 'auto') return language;
  const named = modeOf(root.attributes.get('xml:lang') ?? '');
  return named === 'yue' ? 'auto_yue' : named === 'ja' ? named : language;
}

/** `zh-CN` → zh, `zh-HK` → yue … undefined for a language that is not spoken. */
function modeOf(tag: string): LanguageMode | undefined {
  const lower = tag.toLowerCase();
  if (/^(?:yue|zh-hk|zh-mo|zh-yue)/.test(lower)) return 'yue';
  const [main = ''] = lower.split(/[-_]/);
  const named = main === 'cmn' ? 'zh' : main;
  return LANGUAGE_MODES.find((mode) => mode === named);
}

class SsmlReader {
  readonly found: MarkedUp[] = [];
  readonly #document: string;
  #pieces: SourceText[] = [];
  #readings: FixedReading[] = [];
  #delivery: Delivery | null = null;

  constructor(document: string) {
    this.#document = document;
  }

  async children(element: XmlElement, delivery: Delivery): Promise<void> {
    for (const child of element.children) {
      if (child.type === 'text') this.#add(child.text, delivery);
      else await this.#element(child, delivery);
    }
  }

  /** Ends the stretch of text that is being gathered. */
  flush(endsSentence: boolean): void {
    const text = SourceText.join(this.#pieces);
    if (this.#delivery !== null && text.text.trim() !== '') {
      this.found.push({ type: 'text', text, readings: this.#readings, delivery: this.#delivery, endsSentence });
    } else if (endsSentence) {
      // The sentence ended with its last stretch of text.
      for (let i = this.found.length - 1; i >= 0; i--) {
        const item = this.found[i] as MarkedUp;
        if (item.type === 'break') break;
        if (item.type !== 'text') continue;
        this.found[i] = { ...item, endsSentence: true };
        break;
      }
    }
    this.#pieces = [];
    this.#readings = [];
    this.#delivery = null;
  }

  #add(text: SourceText, delivery: Delivery): void {
    if (this.#delivery !== null && !sameDelivery(this.#delivery, delivery)) {
      if (text.text.trim() === '') return;
      this.flush(false);
    }
    this.#delivery = delivery;
    this.#pieces.push(text);
  }

  async #element(element: XmlElement, delivery: Delivery): Promise<void> {
    const { name, attributes } = element;
    switch (name) {
      case 'p':
      case 's': {
        this.flush(true);
        const own = attributes.get('xml:lang');
        await this.children(element, own === undefined ? delivery : this.#inLanguage(element, own, delivery));
        this.flush(true);
        if (name === 'p') this.#break(PARAGRAPH_BREAK_MS);
        return;
      }
      case 'w':
      case 'token':
        return this.children(element, delivery);
      case 'break':
        this.flush(false);
        return this.#break(this.#breakLength(element));
      case 'mark':
      case 'bookmark': {
        const mark = attributes.get(name === 'mark' ? 'name' : 'mark') ?? '';
        if (mark === '') this.#fail(element, `<${name}> needs the attribute ${name === 'mark' ? 'name' : 'mark'}`);
        this.flush(false);
        this.found.push({ type: 'mark', name: mark, at: element.start });
        return;
      }
      case 'prosody':
        return this.children(element, this.#prosody(element, delivery));
      case 'emphasis': {
        const level = attributes.get('level') ?? 'moderate';
        const { rate, volumeDb } = this.#oneOf(element, 'level', level, EMPHASIS);
        return this.children(element, {
          ...delivery,
          rate: delivery.rate * rate,
          volumeDb: delivery.volumeDb + volumeDb,
        });
      }
      case 'lang': {
        const tag = attributes.get('xml:lang');
        if (tag === undefined) this.#fail(element, '<lang> needs the attribute xml:lang, such as xml:lang="en-US"');
        return this.children(element, this.#inLanguage(element, tag, delivery));
      }
      case 'voice': {
        const voice = attributes.get('name');
        const tag = attributes.get('xml:lang');
        const spoken = tag === undefined ? delivery : this.#inLanguage(element, tag, delivery);
        return this.children(element, { ...spoken, ...(voice === undefined ? {} : { voice, style: null }) });
      }
      case 'mstts:express-as': {
        const style = attributes.get('style');
        return this.children(element, {
          ...delivery,
          style: style === undefined || style === 'default' ? null : style,
        });
      }
      case 'sub': {
        const alias = attributes.get('alias');
        if (alias === undefined) this.#fail(element, '<sub> needs the attribute alias: the text to read instead');
        const text = this.#textOf(element);
        return text.length === 0 ? undefined : this.#add(text.saidAs(alias), delivery);
      }
      case 'say-as':
        return this.#sayAs(element, delivery);
      case 'phoneme':
        return this.#phoneme(element, delivery);
      case 'meta':
      case 'metadata':
      case 'desc':
      case 'lexicon':
      case 'mstts:viseme':
      case 'mstts:silence':
      case 'mstts:backgroundaudio':
        return;
      default:
        this.#fail(
          element,
          `<${name}> is not read; expected speak, p, s, break, prosody, say-as, phoneme, sub, lang, voice, mark, emphasis or mstts:express-as`,
        );
    }
  }

  async #sayAs(element: XmlElement, delivery: Delivery): Promise<void> {
    const interpretAs = element.attributes.get('interpret-as');
    if (interpretAs === undefined) this.#fail(element, '<say-as> needs the attribute interpret-as, such as "digits"');
    const text = this.#textOf(element);
    const format = element.attributes.get('format') ?? element.attributes.get('detail') ?? '';
    const said = await sayAs(text.text, interpretAs, format, this.#languageAt(element, delivery));
    // Blanks keep what is spelt out from growing into the words around it.
    if (text.length > 0) this.#add(text.saidAs(said), delivery);
  }

  async #phoneme(element: XmlElement, delivery: Delivery): Promise<void> {
    const { attributes } = element;
    const ph = attributes.get('ph');
    if (ph === undefined) this.#fail(element, '<phoneme> needs the attribute ph: the pronunciation');
    const named = (attributes.get('alphabet') ?? 'ipa').toLowerCase().replace(/^x-/, '');
    const local = DEFAULT_ALPHABET[this.#languageAt(element, delivery)];
    const alphabet = named === 'sapi' || named === 'cmu' ? (named === 'cmu' ? 'arpabet' : local) : named;
    if (!ALPHABETS.includes(alphabet as Alphabet)) {
      this.#fail(element, `the alphabet "${named}" is not known; expected ${ALPHABETS.join(', ')}`);
    }
    const reading = await parseReading(alphabet as Alphabet, named === 'sapi' ? ph.replace(/ (?=\d)/g, '') : ph);
    if (typeof reading === 'string') this.#fail(element, `the pronunciation cannot be read: ${reading}`);
    const text = this.#textOf(element);
    if (text.text.trim() === '') this.#fail(element, '<phoneme> needs the word it stands for as its text');
    if ('replacement' in reading) return this.#add(text.saidAs(reading.replacement), delivery);
    const { language, syllables } = reading;
    if (!languagesOf(delivery.language).includes(language)) {
      this.#fail(element, `a pronunciation in ${alphabet} cannot be said in language "${delivery.language}"`);
    }
    const [start, end] = text.sourceRange(0, text.length);
    this.#add(text.saidAs(await carrierOf(text.text, language, syllables)), delivery);
    this.#readings.push({ start, end, language, reading: syllables, rule: 'markup' });
  }

  /** The language a word inside an element would be read in. */
  #languageAt(element: XmlElement, { language }: Delivery): Language {
    const languages = languagesOf(language);
    const main = languages[0] as Language;
    if (!language.startsWith('auto')) return main;
    const own = this.#textOf(element).text;
    const near = this.#document.slice(Math.max(0, element.start - 200), element.end + 200).replace(/<[^<>]*>/g, ' ');
    for (const text of [own, near]) {
      if (/\p{Script=Hangul}/u.test(text)) return 'ko';
      if (/\p{Script=Han}/u.test(text)) return main;
    }
    return 'en';
  }

  #inLanguage(element: XmlElement, tag: string, delivery: Delivery): Delivery {
    const language = modeOf(tag);
    if (language === undefined) {
      this.#fail(element, `the language "${tag}" is not spoken; expected zh-CN, zh-HK, en, ja or ko`);
    }
    return { ...delivery, language };
  }

  #prosody(element: XmlElement, delivery: Delivery): Delivery {
    const { attributes } = element;
    const rate = attributes.get('rate');
    const volume = attributes.get('volume');
    const pitch = attributes.get('pitch');
    return {
      ...delivery,
      rate: rate === undefined ? delivery.rate : within(delivery.rate * this.#rate(element, rate), 0.25, 4),
      volumeDb:
        volume === undefined ? delivery.volumeDb : Math.min(12, delivery.volumeDb + this.#volume(element, volume)),
      pitchSemitones:
        pitch === undefined
          ? delivery.pitchSemitones
          : within(delivery.pitchSemitones + this.#pitch(element, pitch), -12, 12),
    };
  }

  #rate(element: XmlElement, value: string): number {
    const [, sign = '', number, percent] = /^([+-]?)(\d{1,4}(?:\.\d{1,4})?)(%?)$/.exec(value) ?? [];
    if (number === undefined) return this.#oneOf(element, 'rate', value, RATES);
    const amount = percent === '' ? Number(number) : Number(number) / 100;
    const rate = sign === '' ? amount : 1 + (sign === '-' ? -amount : amount);
    if (rate <= 0) this.#fail(element, `the rate "${value}" is not above zero`);
    return rate;
  }

  #volume(element: XmlElement, value: string): number {
    const decibels = /^([+-]?\d{1,3}(?:\.\d{1,3})?)dB$/i.exec(value)?.[1];
    if (decibels !== undefined) return Number(decibels);
    const [, sign = '', number] = /^([+-]?)(\d{1,3}(?:\.\d{1,3})?)%?$/.exec(value) ?? [];
    if (number === undefined) return this.#oneOf(element, 'volume', value, VOLUMES);
    const share = sign === '' ? Number(number) / 100 : 1 + (sign === '-' ? -1 : 1) * (Number(number) / 100);
    return share <= 0 ? -Infinity : 20 * Math.log10(share);
  }

  #pitch(element: XmlElement, value: string): number {
    const semitones = /^([+-]\d{1,2}(?:\.\d{1,2})?)st$/.exec(value)?.[1];
    if (semitones !== undefined) return Number(semitones);
    const percent = /^([+-]\d{1,3}(?:\.\d{1,2})?)%$/.exec(value)?.[1];
    if (percent !== undefined) return 12 * Math.log2(Math.max(0.25, 1 + Number(percent) / 100));
    return this.#oneOf(element, 'pitch', value, PITCHES);
  }

  #breakLength(element: XmlElement): number {
    const time = element.attributes.get('time');
    if (time === undefined)
      return this.#oneOf(element, 'strength', element.attributes.get('strength') ?? 'medium', BREAKS);
    const [, number, unit] = /^\+?(\d{1,6}(?:\.\d{1,3})?|\.\d{1,3})(ms|s)$/.exec(time.trim()) ?? [];
    if (number === undefined)
      this.#fail(element, `the time "${time}" is not a duration; expected such as 500ms or 1.5s`);
    const ms = Number(number) * (unit === 's' ? 1000 : 1);
    if (ms > LONGEST_BREAK_MS)
      this.#fail(element, `a break of ${time} is too long; expected at most ${LONGEST_BREAK_MS} ms`);
    return ms;
  }

  #break(durationMs: number): void {
    if (durationMs > 0) this.found.push({ type: 'break', durationMs });
  }

  #oneOf<T>(element: XmlElement, attribute: string, value: string, known: Readonly<Record<string, T>>): T {
    const found = Object.hasOwn(known, value) ? known[value] : undefined;
    if (found === undefined) {
      this.#fail(
        element,
        `${attribute}="${value}" is not known; expected ${Object.keys(known).join(', ')} or an amount`,
      );
    }
    return found;
  }

  /** The text inside an element that may hold only text. */
  #textOf(element: XmlElement): SourceText {
    const pieces = element.children.map((child) => {
      if (child.type === 'element')
        this.#fail(child, `<${child.name}> cannot stand inside <${element.name}>, which holds text only`);
      return child.text;
    });
    return SourceText.join(pieces);
  }

  #fail(element: XmlElement, message: string): never {
    throw xmlError(this.#document, element.start, message, SSML);
  }
}

function sameDelivery(a: Delivery, b: Delivery): boolean {
  return (
    a.language === b.language &&
    a.rate === b.rate &&
    a.volumeDb === b.volumeDb &&
    a.pitchSemitones === b.pitchSemitones &&
    a.voice === b.voice &&
    a.style === b.style
  );
}

function within(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
