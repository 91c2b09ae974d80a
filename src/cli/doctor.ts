import type { Command } from 'commander';
import type { Config } from '../config.js';
import type { Engine, Finding } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import { type CliContext, printJson } from './context.js';
import { checkDataFolder, checkMachine, checkPort, readMachine } from './machine.js';
import { addEngineFlags, configFromFlags, type EngineFlags, withEngineProcess } from './with-engine.js';

interface DoctorFlags extends EngineFlags {
  readonly host?: string;
  readonly port?: string;
  readonly json?: boolean;
}

/** `timbre doctor`: checks everything from the machine to a spoken sentence, and says what to do. */
export function addDoctorCommand(program: Command, context: CliContext): void {
  const command = program
    .command('doctor')
    .description('check the machine, the runtime, the models and voices, and say what to do')
    .option('--host <address>', 'address the server would listen on (TIMBRE_HOST)')
    .option('-p, --port <port>', 'port the server would listen on (TIMBRE_PORT)')
    .option('--json', 'print the findings as JSON');
  addEngineFlags(command).action((flags: DoctorFlags) => doctor(context, flags));
}

/** Throws `CONFIG_INVALID` at the end when a finding is an error, so that scripts can tell by the exit code. */
async function doctor(context: CliContext, flags: DoctorFlags): Promise<void> {
  const findings: Finding[] = [];
  const report = (found: readonly Finding[]) => {
    for (const finding of found) {
      findings.push(finding);
      if (!flags.json) context.stdout.write(renderFinding(finding));
    }
  };
  const config = configFromFlags(context, flags, { host: flags.host, port: flags.port });
  report(checkMachine(readMachine()));
  report(checkDataFolder(config.dataDir));
  report([await checkPort(config.host, config.port)]);
  if (findings.some((finding) => finding.subject === 'data folder' && finding.level === 'error')) {
    report([{ level: 'warning', subject: 'engine', message: 'not checked', advice: 'first see to the data folder' }]);
  } else {
    try {
      await withEngineProcess(context, config, async (engine) => {
        const { runtime, threads } = engine.info;
        report([{ level: 'ok', subject: 'engine', message: `${runtime}, ${threads} threads`, advice: null }]);
        report(await engine.verify({ signal: context.signal }));
        report([await sayTest(engine, config, context)]);
      });
    } catch (error) {
      context.signal.throwIfAborted();
      report([engineFinding(error)]);
    }
  }
  const errors = findings.filter((finding) => finding.level === 'error').length;
  if (flags.json) printJson(context, { ok: errors === 0, findings });
  if (errors > 0) {
    throw new AppError(
      'CONFIG_INVALID',
      `${errors} ${errors === 1 ? 'thing keeps' : 'things keep'} Timbre from working here`,
    );
  }
}

async function sayTest(engine: Engine, config: Config, context: CliContext): Promise<Finding> {
  const subject = 'speech';
  const voice = config.defaultVoice ?? engine.info.defaultVoice;
  if (voice === null) {
    const advice = 'enrol one with "timbre voice add NAME RECORDING --text TRANSCRIPT"';
    return { level: 'warning', subject, message: 'there is no voice to speak with', advice };
  }
  const startedMs = performance.now();
  let audioMs = 0;
  const request = { text: '你好，世界。', voice, language: 'auto', speed: 1, seed: 1 } as const;
  for await (const chunk of engine.synthesize(request, { signal: context.signal })) {
    audioMs += (chunk.samples.length / chunk.sampleRateHz) * 1000;
  }
  const factor = (performance.now() - startedMs) / audioMs;
  const message = `${(audioMs / 1000).toFixed(2)} s of speech with the default voice, real-time factor ${factor.toFixed(2)}`;
  if (factor > 1) {
    return { level: 'warning', subject, message, advice: 'slower than speech: use more cores, or a smaller model' };
  }
  return { level: 'ok', subject, message, advice: null };
}

function engineFinding(error: unknown): Finding {
  const subject = 'engine';
  if (!(error instanceof AppError))
    return { level: 'error', subject, message: String(error), advice: 'see docs/ERRORS.md' };
  return {
    level: 'error',
    subject,
    message: `${error.code}: ${error.message}`,
    advice: `see ${error.code} in docs/ERRORS.md`,
  };
}

const SIGNS = { ok: '✓', warning: '!', error: '✗' } as const;

function renderFinding({ level, subject, message, advice }: Finding): string {
  return `${SIGNS[level]} ${subject}: ${message}\n${advice === null ? '' : `    → ${advice}\n`}`;
}
