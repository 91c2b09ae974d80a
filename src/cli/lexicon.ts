import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { SPEECH_LANGUAGES } from '../api/synthesis.js';
import { LexiconStore } from '../engine/lexicon-store.js';
import { differencesOf, explainWith, readLexicon } from '../engine/lexicon-work.js';
import { AppError } from '../errors.js';
import { type CompiledLexicon, compileLexicon } from '../text/lexicon.js';
import { readLexiconFile, writeCsv, writePls } from '../text/lexicon-files.js';
import { type CliContext, pathOf, printJson, readWords, renderTable } from './context.js';
import { languageFlag } from './language-flag.js';
import { saveSpeech } from './say.js';
import { exportTenantLexicon, importTenantLexicon, listTenantLexicons, removeTenantLexicon } from './tenant-lexicon.js';
import { hasColours, painter, polyphonesOf } from './text.js';
import { addEngineFlags, configFromFlags, type EngineFlags, sealedFilesOf } from './with-engine.js';

interface JsonFlags {
  readonly data?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

/** `timbre lexicon import|list|export|check|preview|remove`: of the data folder, or, with `--tenant`, of a tenant. */
export function addLexiconCommands(program: Command, context: CliContext): void {
  const lexicon = program.command('lexicon').description('pronunciation lexicons: how words of your own are read');
  const data = (command: Command): Command => command.option('--data <folder>', 'folder of lexicons (TIMBRE_DATA)');
  const storeOf = async (flags: JsonFlags): Promise<LexiconStore> => {
    const config = configFromFlags(context, flags);
    return new LexiconStore(config.dataDir, await sealedFilesOf(config));
  };

  data(
    lexicon
      .command('import')
      .description('store a CSV or PLS file as the next version of a lexicon; running servers use it at once')
      .argument('<name>', 'name: "default" applies always, a voice\'s name to that voice')
      .argument('<file>', 'CSV (word,language,alphabet,reading) or W3C PLS')
      .option('--skip-invalid', 'leave out entries that cannot be read instead of failing')
      .option('--tenant <id>', 'a lexicon of this tenant, rather than of the data folder')
      .option('--json', 'print the outcome as JSON'),
  ).action(async (name: string, file: string, flags: JsonFlags & { readonly skipInvalid?: boolean }) => {
    const { tenant } = flags;
    const text = await readText(pathOf(context, file));
    if (tenant !== undefined) return importTenantLexicon(context, name, text, { ...flags, tenant });
    const store = await storeOf(flags);
    const outcome = await store.import(name, text, {
      skipInvalid: flags.skipInvalid ?? false,
    });
    if (flags.json) return printJson(context, outcome);
    for (const { line, message } of outcome.problems) context.stderr.write(`line ${line}: ${message}\n`);
    context.stdout.write(`imported ${name}, version ${outcome.version}, ${outcome.entries} entries\n`);
  });

  data(
    lexicon
      .command('check')
      .description('name the lines of a file that cannot be read or contradict each other')
      .argument('<file>', 'CSV or PLS file')
      .option('--json', 'print them as JSON'),
  ).action(async (file: string, flags: JsonFlags) => {
    const { entries, problems } = await readLexicon(await readText(file));
    if (flags.json) printJson(context, { entries: entries.length, problems });
    else for (const { line, message } of problems) context.stdout.write(`line ${line}: ${message}\n`);
    if (problems.length > 0)
      throw new AppError('LEXICON_INVALID', `${problems.length} entries of ${file} cannot be used`);
    if (!flags.json) context.stdout.write(`${entries.length} entries, all good\n`);
  });

  data(
    lexicon
      .command('list')
      .description('list the lexicons there are')
      .option('--tenant <id>', 'of this tenant')
      .option('--json', 'print them as JSON'),
  ).action(async (flags: JsonFlags) => {
    const { tenant } = flags;
    if (tenant !== undefined) return listTenantLexicons(context, { ...flags, tenant });
    const lexicons = (await storeOf(flags)).list();
    if (flags.json) return printJson(context, lexicons);
    const rows = lexicons.map(({ name, version, entries }) => [name, String(version), String(entries)]);
    context.stdout.write(renderTable(['NAME', 'VERSION', 'ENTRIES'], rows));
  });

  data(
    lexicon
      .command('export')
      .description('write a lexicon as CSV or PLS')
      .argument('<name>', 'name of the lexicon')
      .option('--format <format>', 'csv or pls', 'csv')
      .option(
        '--lang <language>',
        'language of the entries in a PLS file: zh, yue, en, ja, ko; by default those of any',
      )
      .option('--version-number <n>', 'an earlier version')
      .option('--tenant <id>', 'of this tenant')
      .option('-o, --output <file>', 'file to write; by default standard output'),
  ).action(async (name: string, flags: JsonFlags & ExportFlags) => {
    const { format, tenant } = flags;
    if (format !== 'csv' && format !== 'pls') {
      throw new AppError('REQUEST_INVALID', `--format is ${JSON.stringify(format)}; expected csv or pls`);
    }
    if (tenant !== undefined) return exportTenantLexicon(context, name, { ...flags, format, tenant });
    const version = flags.versionNumber === undefined ? {} : { version: Number(flags.versionNumber) };
    const { entries } = (await storeOf(flags)).read({ name, ...version });
    const text = format === 'csv' ? writeCsv(entries) : writePls(entries, flags.lang ?? null);
    if (flags.output === undefined) context.stdout.write(text);
    else await writeFile(flags.output, text);
  });

  data(
    lexicon
      .command('remove')
      .description('remove a lexicon')
      .argument('<name>', 'name of the lexicon')
      .option('--tenant <id>', 'of this tenant'),
  ).action(async (name: string, flags: JsonFlags) => {
    const { tenant } = flags;
    if (tenant !== undefined) return removeTenantLexicon(context, name, { ...flags, tenant });
    (await storeOf(flags)).remove(name);
    context.stdout.write(`removed ${name}\n`);
  });

  addEngineFlags(
    lexicon
      .command('preview')
      .description('show which words a lexicon would read otherwise, and make both sounds')
      .argument('<lexicon>', 'a CSV or PLS file, or the name of a lexicon')
      .argument('[text...]', 'a text; "-" or nothing reads standard input')
      .option('-l, --lang <language>', `language of the text: ${SPEECH_LANGUAGES.join(', ')}`, 'auto')
      .option('-v, --voice <name>', 'voice to say it with')
      .option('-o, --output <prefix>', 'write PREFIX-before.wav and PREFIX-after.wav')
      .option('--json', 'print the differences as JSON'),
  ).action((source: string, words: string[], flags: PreviewFlags) => preview(context, source, words, flags));
}

interface ExportFlags {
  readonly format: string;
  readonly lang?: string;
  readonly versionNumber?: string;
  readonly output?: string;
}

interface PreviewFlags extends EngineFlags {
  readonly lang: string;
  readonly voice?: string;
  readonly output?: string;
  readonly json?: boolean;
}

async function preview(
  context: CliContext,
  source: string,
  words: readonly string[],
  flags: PreviewFlags,
): Promise<void> {
  const text = await readWords(context, words);
  const config = configFromFlags(context, flags, { defaultVoice: flags.voice });
  const store = new LexiconStore(config.dataDir, await sealedFilesOf(config));
  const file = /[./\\]/.test(source) ? await readText(source) : null;
  const lexicon = file === null ? await store.load([{ name: source }]) : await compiled(file);
  const language = languageFlag(flags.lang);
  const polyphones = await polyphonesOf(config.g2pwFolder);
  const before = await explainWith({ text, language }, null, polyphones);
  const differences = differencesOf(text, before, await explainWith({ text, language }, lexicon, polyphones));
  if (flags.json) printJson(context, differences);
  else if (differences.length === 0) context.stdout.write('nothing is read otherwise\n');
  else {
    const paint = painter(hasColours(context));
    for (const { written, before: was, after: is, rule } of differences) {
      context.stdout.write(
        `${written}: ${paint(was || '(nothing)', 31)} → ${paint(is || '(nothing)', 32)}  (${rule})\n`,
      );
    }
  }
  if (flags.output === undefined) return;
  // A file is stored under a name of its own for as long as its sound is made.
  const name = file === null ? source : `preview-${process.pid}`;
  if (file !== null) await store.import(name, file, { skipInvalid: true });
  try {
    const said = { text, language, seed: 0, speed: 1 };
    await saveSpeech(context, config, [
      { request: { ...said, lexicons: [] }, output: `${flags.output}-before.wav` },
      { request: { ...said, lexicons: [{ name }] }, output: `${flags.output}-after.wav` },
    ]);
  } finally {
    if (file !== null) store.remove(name);
  }
  context.stderr.write(`wrote ${flags.output}-before.wav and ${flags.output}-after.wav\n`);
}

async function compiled(text: string): Promise<CompiledLexicon> {
  return (await compileLexicon([{ name: 'preview', entries: readLexiconFile(text).entries }])).lexicon;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('LEXICON_NOT_FOUND', `cannot read the lexicon file: ${reason}`, { cause });
  }
}
