import type { Command } from 'commander';
import { SPEECH_LANGUAGES, SPLIT_METHODS } from '../api/synthesis.js';
import type { Config } from '../config.js';
import { DEFAULT_LEXICON, LexiconStore } from '../engine/lexicon-store.js';
import { AppError } from '../errors.js';
import { type ExplainedItem, type ExplainedWord, type Explanation, explainText } from '../text/explain.js';
import type { Language } from '../text/language.js';
import type { CompiledLexicon } from '../text/lexicon.js';
import type { PolyphonePredictor } from '../text/polyphones.js';
import { type CliContext, isTerminal, printJson, readWords } from './context.js';
import { languageFlag } from './language-flag.js';
import { configFromFlags, sealedFilesOf } from './with-engine.js';

interface ExplainFlags {
  readonly lang: string;
  readonly symbols: string;
  readonly split: string;
  readonly ssml?: boolean;
  readonly lexicon?: string[];
  readonly data?: string;
  readonly json?: boolean;
}

/** `timbre text explain "…"`: how a text is read, and why. */
export function addTextCommands(program: Command, context: CliContext): void {
  const text = program.command('text').description('look at how texts are read');
  text
    .command('explain')
    .description('show sentences, languages, what is read, and the rule behind each reading')
    .argument('[text...]', 'the text; "-" or nothing reads standard input')
    .option('-l, --lang <language>', `language of the text: ${SPEECH_LANGUAGES.join(', ')}`, 'auto')
    .option('--symbols <generation>', 'phonemes of v1 or v2 models', 'v2')
    .option('--split <method>', `how it is cut into sentences: ${SPLIT_METHODS.join(', ')}`, 'sentence')
    .option('--ssml', 'the text is an SSML document')
    .option('--lexicon <name...>', 'lexicons to use, the most important last; by default the one named "default"')
    .option('--data <folder>', 'folder of lexicons (TIMBRE_DATA)')
    .option('--json', 'print it as JSON')
    .action(async (words: string[], flags: ExplainFlags) => {
      const written = await readWords(context, words);
      const config = configFromFlags(context, flags);
      const explanation = await explainText(written, {
        inputType: flags.ssml ? 'ssml' : 'text',
        language: languageFlag(flags.lang),
        symbols: oneOf('symbols', flags.symbols, ['v1', 'v2'] as const),
        method: oneOf('split', flags.split, SPLIT_METHODS),
        lexicon: await lexiconsOf(config, flags.lexicon),
        polyphones: await polyphonesOf(config.g2pwFolder),
      });
      if (flags.json) printJson(context, explanation);
      else context.stdout.write(renderExplanation(explanation, hasColours(context)));
    });
}

/** The lexicons that a command names, else the one that always applies, where there is one. */
export async function lexiconsOf(
  config: Pick<Config, 'dataDir' | 'masterKeyFile'>,
  names: readonly string[] | undefined,
): Promise<CompiledLexicon | null> {
  const store = new LexiconStore(config.dataDir, await sealedFilesOf(config));
  return store.load(names?.map((name) => ({ name })) ?? store.usualFor(DEFAULT_LEXICON).slice(0, 1));
}

/** The operator's model of polyphones, where one is set. */
export async function polyphonesOf(g2pwFolder: string | null): Promise<PolyphonePredictor | null> {
  return g2pwFolder === null ? null : (await import('../engine/g2pw-here.js')).g2pwHere(g2pwFolder);
}

function oneOf<T extends string>(flag: string, value: string, known: readonly T[]): T {
  const found = known.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw new AppError('REQUEST_INVALID', `--${flag} is ${JSON.stringify(value)}; expected one of ${known.join(', ')}`);
}

/** Colours where a person looks at a terminal and has not asked for none (no-color.org). */
export function hasColours({ stdout, env }: CliContext): boolean {
  return isTerminal(stdout) && (env['NO_COLOR'] ?? '') === '';
}

const COLOURS: Readonly<Record<string, number>> = { zh: 31, en: 34, ja: 35, ko: 32, yue: 33 };
const DIM = 2;
const BOLD = 1;

export type Paint = (text: string, colour: number) => string;

export function painter(colours: boolean): Paint {
  return (text, colour) => (colours ? `\u001b[${colour}m${text}\u001b[0m` : text);
}

function renderExplanation(explanation: Explanation, colours: boolean): string {
  const paint = painter(colours);
  return explanation.map((item) => renderItem(item, paint)).join('\n');
}

function renderItem(item: ExplainedItem, paint: Paint): string {
  if (item.type === 'break') return `${paint(`break of ${item.durationMs} ms`, DIM)}\n`;
  if (item.type === 'mark') return `${paint(`mark "${item.name}" at ${item.at}`, DIM)}\n`;
  const lines = [`${paint(item.text.replace(/\s+/g, ' '), BOLD)}  ${paint(`${item.start}–${item.end}`, DIM)}`];
  const { rate, volumeDb, pitchSemitones, voice, style } = item.delivery;
  const manner = [
    rate === 1 ? '' : `rate ${rate.toFixed(2)}`,
    volumeDb === 0 ? '' : `volume ${volumeDb.toFixed(1)} dB`,
    pitchSemitones === 0 ? '' : `pitch ${pitchSemitones.toFixed(1)} semitones`,
    voice === null ? '' : `voice ${voice}`,
    style === null ? '' : `style ${style}`,
  ].filter((part) => part !== '');
  if (manner.length > 0) lines.push(`  ${paint(manner.join(', '), DIM)}`);
  for (const span of item.spans) {
    lines.push(
      `  ${paint(span.language, languageColour(span.language))}  ${paint(span.normalizedText, languageColour(span.language))}`,
    );
    lines.push(...renderWords(span.words, paint).map((line) => `      ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

export function languageColour(language: Language): number {
  return COLOURS[language] ?? 0;
}

function renderWords(words: readonly ExplainedWord[], paint: Paint): string[] {
  const rows = words.map(({ text, written, reading, rule, phonemes }) => [
    written.trim() === text || written.trim() === '' ? text : `${text} ← ${written.trim()}`,
    reading,
    phonemes.join(' '),
    rule,
  ]);
  const widths = [0, 1, 2].map((column) => Math.min(36, Math.max(0, ...rows.map((row) => width(row[column] ?? '')))));
  return rows.map((row) => {
    const cells = row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell))));
    return `${cells[0]}  ${cells[1]}  ${paint(cells[2] ?? '', DIM)}  ${paint((cells[3] ?? '').trim(), DIM)}`.trimEnd();
  });
}

/** Columns on a terminal: East Asian characters take two. */
function width(text: string): number {
  return [...text].reduce(
    (sum, character) =>
      sum +
      (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/.test(character) ? 2 : 1),
    0,
  );
}
