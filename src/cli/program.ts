import { Command, CommanderError } from 'commander';
import { AppError } from '../errors.js';
import { addAdapterCommands } from './adapter.js';
import { addAdminCommands } from './admin.js';
import { addAuditCommands } from './audit.js';
import { addBackupCommands } from './backup.js';
import { addConsentCommands } from './consent.js';
import type { CliContext } from './context.js';
import { addDoctorCommand } from './doctor.js';
import { addKeysCommands } from './keys.js';
import { addLexiconCommands } from './lexicon.js';
import { addModelCommands } from './model.js';
import { addSayCommand } from './say.js';
import { addServeCommand } from './serve.js';
import { addTextCommands } from './text.js';
import { addVerifyCommand } from './verify.js';
import { addVoiceCommands } from './voice.js';
import { RanOnServer } from './with-platform.js';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

/**
 * Runs one command line, without the program's name.
 *
 * @returns the exit code: 0, 1 for a failure (told on standard error with its code), 2 for wrong usage, 130 when
 * interrupted. `serve` returns 0 as soon as the server listens; the process then lives as long as the server.
 */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const program = buildProgram({ argv, ...context });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof RanOnServer) return error.exitCode;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (context.signal.aborted) {
      context.stderr.write('timbre: interrupted\n');
      return EXIT_INTERRUPTED;
    }
    if (error instanceof AppError) context.stderr.write(`timbre: ${error.message} [${error.code}]\n`);
    else context.stderr.write(`timbre: ${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT_FAILED;
  }
}

function buildProgram(context: CliContext): Command {
  const program = new Command('timbre')
    .description('Voices of your own: text in, speech out')
    .version(context.version)
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
    })
    .exitOverride()
    .showHelpAfterError('(--help says more)')
    .addHelpText('after', '\nEvery setting can be given in the environment: see docs/OPERATIONS.md.');
  addSayCommand(program, context);
  addServeCommand(program, context, runCli);
  addModelCommands(program, context);
  addAdapterCommands(program, context);
  addVoiceCommands(program, context);
  addConsentCommands(program, context);
  addAdminCommands(program, context);
  addKeysCommands(program, context);
  addAuditCommands(program, context);
  addBackupCommands(program, context);
  addLexiconCommands(program, context);
  addTextCommands(program, context);
  addVerifyCommand(program, context);
  addDoctorCommand(program, context);
  passOn(program);
  return program;
}

/** Subcommands inherit how output and exits are handled only if they are told to. */
function passOn(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    passOn(command);
  }
}
