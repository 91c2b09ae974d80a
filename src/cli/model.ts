import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CHECKPOINT_KIND_NAMES, detectCheckpointKind } from '../checkpoint/checkpoint-kind.js';
import { SOVITS_VERSIONS } from '../checkpoint/model-version.js';
import { openCheckpoint } from '../checkpoint/open-checkpoint.js';
import { PRECISIONS } from '../engine/quality-report.js';
import { AppError } from '../errors.js';
import { type CliContext, formatBytes, printJson, renderTable } from './context.js';
import { createProgressLine, showImport } from './progress.js';
import { addEngineFlags, configFromFlags, type EngineFlags, withEngine } from './with-engine.js';

interface JsonFlags extends EngineFlags {
  readonly json?: boolean;
}

interface ImportFlags extends JsonFlags {
  readonly name: string;
  readonly modelVersion?: string;
  readonly precision?: string;
  readonly replace?: boolean;
}

/** `timbre model import|list|inspect`. */
export function addModelCommands(program: Command, context: CliContext): void {
  const model = program.command('model').description('import and look at models');

  addEngineFlags(
    model
      .command('import')
      .description('import official checkpoints: compiled once, used from then on')
      .argument('<files...>', 'checkpoint files and folders, in any order; what each one is follows from its contents')
      .requiredOption('-n, --name <name>', 'name of the model')
      .option('--model-version <version>', `overrides the version found in the files: ${SOVITS_VERSIONS.join(', ')}`)
      .option(
        '--precision <format>',
        `number format of the weights: ${PRECISIONS.join(', ')}; what would lose more than 2 % stays in a higher one (default: int8 where that is faster)`,
      )
      .option('--replace', 'replace a model of the same name')
      .option('--json', 'print the model as JSON'),
  ).action((files: string[], flags: ImportFlags) => importModel(context, files, flags));

  addEngineFlags(
    model.command('list').description('list the models there are').option('--json', 'print them as JSON'),
  ).action((flags: JsonFlags) => listModels(context, flags));

  addEngineFlags(
    model
      .command('inspect')
      .description('take a model, or a checkpoint file, apart')
      .argument('<name-or-file>', 'name of a model, or path of a checkpoint')
      .option('--json', 'print it as JSON'),
  ).action((nameOrFile: string, flags: JsonFlags) => inspect(context, nameOrFile, flags));
}

async function importModel(context: CliContext, files: readonly string[], flags: ImportFlags): Promise<void> {
  const version = SOVITS_VERSIONS.find((known) => known === flags.modelVersion);
  if (flags.modelVersion !== undefined && version === undefined) {
    const known = SOVITS_VERSIONS.join(', ');
    throw new AppError(
      'MODEL_INVALID',
      `--model-version is ${JSON.stringify(flags.modelVersion)}; expected one of ${known}`,
    );
  }
  const precision = PRECISIONS.find((known) => known === flags.precision);
  if (flags.precision !== undefined && precision === undefined) {
    throw new AppError(
      'MODEL_INVALID',
      `--precision is ${JSON.stringify(flags.precision)}; expected one of ${PRECISIONS.join(', ')}`,
    );
  }
  const line = createProgressLine(context.stderr);
  const startedMs = performance.now();
  const summary = await withEngine(context, configFromFlags(context, flags), (engine) =>
    engine
      .importModel(
        {
          name: flags.name,
          paths: files.map((file) => resolve(file)),
          ...(version === undefined ? {} : { version }),
          ...(precision === undefined ? {} : { precision }),
          replace: flags.replace ?? false,
        },
        { signal: context.signal, onProgress: showImport(line) },
      )
      .finally(() => line.clear()),
  );
  if (flags.json) printJson(context, summary);
  else {
    const tookSeconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    context.stdout.write(
      `imported ${summary.name}: ${summary.version}, ${summary.sampleRateHz} Hz, ${summary.precision}, ${formatBytes(summary.sizeBytes)}, in ${tookSeconds} s\n`,
    );
    for (const warning of summary.warnings) context.stdout.write(`  warning: ${warning}\n`);
  }
}

async function listModels(context: CliContext, flags: JsonFlags): Promise<void> {
  const models = await withEngine(context, configFromFlags(context, flags), (engine) => engine.listModels());
  if (flags.json) printJson(context, models);
  else {
    const rows = models.map((model) => [
      model.name,
      model.version,
      `${model.sampleRateHz} Hz`,
      model.precision,
      formatBytes(model.sizeBytes),
      model.digest.slice(0, 12),
      model.createdAt,
    ]);
    context.stdout.write(renderTable(['NAME', 'VERSION', 'RATE', 'PRECISION', 'SIZE', 'DIGEST', 'IMPORTED'], rows));
  }
}

async function inspect(context: CliContext, nameOrFile: string, flags: JsonFlags): Promise<void> {
  if (existsSync(nameOrFile)) {
    inspectFile(context, nameOrFile, flags);
    return;
  }
  const details = await withEngine(context, configFromFlags(context, flags), (engine) =>
    engine.inspectModel(nameOrFile),
  );
  if (flags.json) {
    printJson(context, details);
    return;
  }
  const facts: [string, string][] = [
    ['name', details.name],
    ['version', details.version],
    ['sample rate', `${details.sampleRateHz} Hz`],
    ['precision', details.precision],
    ['size', formatBytes(details.sizeBytes)],
    ['digest', details.digest],
    ['BERT features', details.hasBert ? 'yes' : 'no'],
    ['imported', details.createdAt],
    ...details.warnings.map((warning): [string, string] => ['warning', warning]),
    ...Object.entries(details.settings).map(([key, value]): [string, string] => [key, String(value)]),
  ];
  context.stdout.write(renderTable(['', ''], facts).replace(/^\s*\n/, ''));
  const rows = details.networks.map((network) => [network.name, formatCount(network.parameterCount), network.source]);
  context.stdout.write(`\n${renderTable(['NETWORK', 'PARAMETERS', 'FROM'], rows)}`);
  const measures = details.quality.flatMap((report) => [
    ...report.measures.map((measure) => [
      report.network,
      report.precision,
      measure.name,
      Number(measure.value.toPrecision(4)).toString(),
      measure.over,
    ]),
    ...report.kept.map((part) => [report.network, report.precision, `kept: ${part}`, '', '']),
  ]);
  if (measures.length > 0) {
    const columns = ['QUALITY OF', 'PRECISION', 'AGAINST FP32', 'VALUE', 'OVER'];
    context.stdout.write(`\n${renderTable(columns, measures)}`);
  }
}

/** A checkpoint file as it is, before any import; nothing in it is executed. */
function inspectFile(context: CliContext, path: string, flags: JsonFlags): void {
  const checkpoint = openCheckpoint(path);
  try {
    const tensors = [...checkpoint.tensors.values()];
    const kind = detectCheckpointKind(checkpoint);
    const parameterCount = tensors.reduce((sum, tensor) => sum + tensor.length, 0);
    if (flags.json) {
      printJson(context, {
        path,
        kind,
        format: checkpoint.format,
        header: checkpoint.header,
        parameter_count: parameterCount,
        tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
        data: checkpoint.data,
      });
      return;
    }
    context.stdout.write(
      `${path}: ${CHECKPOINT_KIND_NAMES[kind]}, ${checkpoint.format}, ${tensors.length} tensors, ${formatCount(parameterCount)} parameters\n\n`,
    );
    const rows = tensors.map(({ name, dtype, shape }) => [name, dtype, shape.join(' × ') || 'scalar']);
    context.stdout.write(renderTable(['TENSOR', 'TYPE', 'SHAPE'], rows));
  } finally {
    checkpoint.close();
  }
}

function formatCount(count: number): string {
  if (count < 1000) return String(count);
  return count < 1_000_000 ? `${(count / 1000).toFixed(1)} k` : `${(count / 1_000_000).toFixed(1)} M`;
}
