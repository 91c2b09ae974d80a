import { Command, CommanderError } from 'commander';
import { AppError } from '../errors.js';
import { type CliContext, RanOnServer } from './context.js';

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
  try {
    const program = await buildProgram(argv, { argv, ...context });
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

type AddCommand = (program: Command, context: CliContext) => void;

/** Commands in the order of the help. Each loads what it needs when it is wanted: all of it takes most of a second. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  say: async () => (await import('./say.js')).addSayCommand,
  serve: async () => {
    const { addServeCommand } = await import('./serve.js');
    return (program, context) => addServeCommand(program, context, runCli);
  },
  model: async () => (await import('./model.js')).addModelCommands,
  adapter: async () => (await import('./adapter.js')).addAdapterCommands,
  voice: async () => (await import('./voice.js')).addVoiceCommands,
  consent: async () => (await import('./consent.js')).addConsentCommands,
  admin: async () => (await import('./admin.js')).addAdminCommands,
  keys: async () => (await import('./keys.js')).addKeysCommands,
  audit: async () => (await import('./audit.js')).addAuditCommands,
  backup: async () => (await import('./backup.js')).addBackupCommands,
  lexicon: async () => (await import('./lexicon.js')).addLexiconCommands,
  text: async () => (await import('./text.js')).addTextCommands,
  verify: async () => (await import('./verify.js')).addVerifyCommand,
  doctor: async () => (await import('./doctor.js')).addDoctorCommand,
};

async function buildProgram(argv: readonly string[], context: CliContext): Promise<Command> {
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
  for (const load of wantedCommands(argv)) (await load())(program, context);
  passOn(program);
  return program;
}

/** The one that is named, or none for the version; help, and what is no command, takes them all. */
function wantedCommands([first = '']: readonly string[]): readonly (() => Promise<AddCommand>)[] {
  if (first === '--version' || first === '-V') return [];
  const known = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  return known ? [known] : Object.values(COMMANDS);
}

/** Subcommands inherit how output and exits are handled only if they are told to. */
function passOn(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    passOn(command);
  }
}
