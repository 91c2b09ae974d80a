import { AppError } from '../errors.js';

/** A text as BERT reads it, and which token each of its characters belongs to. */
export interface BertTokens {
  /** [CLS], the tokens, [SEP]. */
  readonly ids: readonly number[];
  /** For each character (code point) the index in `ids` of the token that holds it; -1 where it has none (spaces). */
  readonly tokenOfCharacter: readonly number[];
}

export interface BertTokenizer {
  readonly vocabularySize: number;
  encode(text: string): BertTokens;
}

/** The files beside a BERT checkpoint, as text; one of the first two is needed. */
export interface BertTokenizerFiles {
  /** `tokenizer.json` of the tokenizers library. */
  readonly tokenizerJson?: string;
  /** `vocab.txt`: one token a line. */
  readonly vocabulary?: string;
  /** `tokenizer_config.json`, which says `do_lower_case` for `vocab.txt`. */
  readonly tokenizerConfig?: string;
}

interface Settings {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly unknownToken: string;
  readonly continuation: string;
  readonly maxWordCharacters: number;
  readonly lowercase: boolean;
  readonly stripAccents: boolean;
  readonly cleanText: boolean;
  readonly splitChinese: boolean;
}

/**
 * BERT's WordPiece tokenizer: text cleaned, Chinese characters and punctuation on their own, lower case and no accents
 * where the model wants that, each word cut greedily into the longest known pieces, [UNK] for the rest.
 *
 * upstream: transformers.AutoTokenizer of chinese-roberta-wwm-ext-large, whose rules are BertNormalizer and
 * BertPreTokenizer
 *
 * @throws AppError `CHECKPOINT_UNSUPPORTED` where the files describe another tokenizer.
 */
export function createBertTokenizer(files: BertTokenizerFiles): BertTokenizer {
  const settings = readSettings(files);
  const unknown = idOf(settings, settings.unknownToken);
  const open = idOf(settings, '[CLS]');
  const close = idOf(settings, '[SEP]');
  return {
    vocabularySize: settings.vocabulary.size,
    encode(text) {
      const ids = [open];
      const tokenOfCharacter = Array.from(text, () => -1);
      for (const word of words(text, settings)) {
        for (const piece of wordPieces(word, settings, unknown)) {
          for (const origin of piece.origins) {
            // A character that decomposes into several pieces belongs to the first.
            if (tokenOfCharacter[origin] === -1) tokenOfCharacter[origin] = ids.length;
          }
          ids.push(piece.id);
        }
      }
      ids.push(close);
      return { ids, tokenOfCharacter };
    },
  };
}

/** A character of the cleaned text and the index of the character of the text it came from. */
interface Origin {
  readonly character: string;
  readonly origin: number;
}

function words(text: string, settings: Settings): Origin[][] {
  const found: Origin[][] = [];
  let word: Origin[] = [];
  const finish = (): void => {
    if (word.length > 0) found.push(word);
    word = [];
  };
  for (const [origin, original] of Array.from(text).entries()) {
    if (WHITESPACE.test(original)) {
      finish();
      continue;
    }
    if (settings.cleanText && REMOVED.test(original)) continue;
    if (settings.splitChinese && CHINESE.test(original)) {
      finish();
      found.push([{ character: original, origin }]);
      continue;
    }
    for (const character of normalized(original, settings)) {
      if (PUNCTUATION.test(character)) {
        finish();
        found.push([{ character, origin }]);
      } else {
        word.push({ character, origin });
      }
    }
  }
  finish();
  return found;
}

const WHITESPACE = /\p{White_Space}/u;
/** Control and unassigned characters, and the replacement character. */
const REMOVED = /[\p{C}\uFFFD]/u;
/** The ranges that BERT calls Chinese; kana and hangul are not among them. */
const CHINESE =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/u;
/** Unicode's punctuation, and all of ASCII that is neither letter, digit nor space. */
const PUNCTUATION = /[\p{P}$+<=>^`|~]/u;

function normalized(character: string, settings: Settings): string {
  const plain = settings.stripAccents ? character.normalize('NFD').replace(/\p{Mn}/gu, '') : character;
  return settings.lowercase ? plain.toLowerCase() : plain;
}

function wordPieces(
  word: readonly Origin[],
  settings: Settings,
  unknown: number,
): { id: number; origins: readonly number[] }[] {
  const whole = [{ id: unknown, origins: word.map(({ origin }) => origin) }];
  if (word.length > settings.maxWordCharacters) return whole;
  const pieces: { id: number; origins: readonly number[] }[] = [];
  let start = 0;
  while (start < word.length) {
    let end = word.length;
    let id: number | undefined;
    for (; end > start; end--) {
      const piece = word.slice(start, end).map(({ character }) => character);
      id = settings.vocabulary.get((start > 0 ? settings.continuation : '') + piece.join(''));
      if (id !== undefined) break;
    }
    // One unknown piece makes the whole word unknown.
    if (id === undefined) return whole;
    pieces.push({ id, origins: word.slice(start, end).map(({ origin }) => origin) });
    start = end;
  }
  return pieces;
}

function readSettings(files: BertTokenizerFiles): Settings {
  if (files.tokenizerJson !== undefined) return readTokenizerJson(files.tokenizerJson);
  if (files.vocabulary === undefined) {
    throw unsupported('there is neither a tokenizer.json nor a vocab.txt beside its weights');
  }
  const lines = files.vocabulary.split('\n').map((line) => line.replace(/\r$/, ''));
  if (lines.at(-1) === '') lines.pop();
  const config = files.tokenizerConfig === undefined ? {} : parseObject(files.tokenizerConfig, 'tokenizer_config.json');
  const lowercase = config['do_lower_case'] !== false;
  return {
    vocabulary: new Map(lines.map((token, id) => [token, id])),
    unknownToken: '[UNK]',
    continuation: '##',
    maxWordCharacters: 100,
    lowercase,
    stripAccents: typeof config['strip_accents'] === 'boolean' ? config['strip_accents'] : lowercase,
    cleanText: true,
    splitChinese: config['tokenize_chinese_chars'] !== false,
  };
}

function readTokenizerJson(json: string): Settings {
  const root = parseObject(json, 'tokenizer.json');
  const model = asObject(root['model'], 'model');
  const normalizer = asObject(root['normalizer'], 'normalizer');
  const splitter = asObject(root['pre_tokenizer'], 'pre_tokenizer');
  for (const [part, seen, expected] of [
    ['model', model['type'] ?? 'WordPiece', 'WordPiece'],
    ['normalizer', normalizer['type'], 'BertNormalizer'],
    ['pre_tokenizer', splitter['type'], 'BertPreTokenizer'],
  ] as const) {
    if (seen !== expected) throw unsupported(`its tokenizer.json has the ${part} "${seen}", expected ${expected}`);
  }
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(asObject(model['vocab'], 'model.vocab'))) {
    if (typeof id !== 'number') throw unsupported(`its tokenizer.json gives token "${token.slice(0, 20)}" no number`);
    vocabulary.set(token, id);
  }
  const lowercase = normalizer['lowercase'] !== false;
  return {
    vocabulary,
    unknownToken: typeof model['unk_token'] === 'string' ? model['unk_token'] : '[UNK]',
    continuation: typeof model['continuing_subword_prefix'] === 'string' ? model['continuing_subword_prefix'] : '##',
    maxWordCharacters: typeof model['max_input_chars_per_word'] === 'number' ? model['max_input_chars_per_word'] : 100,
    lowercase,
    stripAccents: typeof normalizer['strip_accents'] === 'boolean' ? normalizer['strip_accents'] : lowercase,
    cleanText: normalizer['clean_text'] !== false,
    splitChinese: normalizer['handle_chinese_chars'] !== false,
  };
}

function idOf(settings: Settings, token: string): number {
  const id = settings.vocabulary.get(token);
  if (id === undefined) throw unsupported(`its vocabulary of ${settings.vocabulary.size} tokens has no ${token}`);
  return id;
}

function parseObject(json: string, what: string): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(json), what);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw unsupported(`its ${what} is not JSON`, cause);
  }
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unsupported(`its ${what} is not a JSON object`);
  }
  return value as Readonly<Record<string, unknown>>; // an object that is not an array, checked above
}

function unsupported(problem: string, cause?: unknown): AppError {
  return new AppError('CHECKPOINT_UNSUPPORTED', `the BERT model cannot be used: ${problem}`, { cause });
}
