import { resolve } from 'node:path';
import type { Command } from 'commander';
import { SPEECH_LANGUAGES } from '../api/synthesis.js';
import { AppError } from '../errors.js';
import { type CliContext, printJson, renderTable } from './context.js';
import { languageFlag } from './language-flag.js';
import { addTenantVoice, addTenantVoiceCommands, listTenantVoices, removeTenantVoice } from './tenant-voice.js';
import { addEngineFlags, configFromFlags, type EngineFlags, withEngine } from './with-engine.js';

interface JsonFlags extends EngineFlags {
  readonly json?: boolean;
  readonly tenant?: string;
}

interface AddFlags extends JsonFlags {
  readonly text?: string;
  readonly lang: string;
  readonly promptFree?: boolean;
  readonly model?: string;
  readonly replace?: boolean;
  readonly consent?: string;
  readonly attestedBy?: string;
  readonly style?: string;
  readonly displayName?: string;
  readonly newVersion?: boolean;
}

/** `timbre voice …`: the operator's pool, which are files of the data folder, or, with `--tenant`, voices of a tenant. */
export function addVoiceCommands(program: Command, context: CliContext): void {
  const voice = program.command('voice').description('enrol and look at voices');

  addEngineFlags(
    voice
      .command('add')
      .description('enrol a voice from one recording (3–10 s), or from several whose style is averaged')
      .argument('<name>', 'name of the voice')
      .argument('<recordings...>', 'wav, flac, mp3, aac, m4a, ogg or opus files; the first one is the prompt')
      .option('-t, --text <transcript>', 'what the first recording says')
      .option('-l, --lang <language>', `language of the transcript: ${SPEECH_LANGUAGES.join(', ')}`, 'auto')
      .option('--prompt-free', 'take only the style: needs no transcript')
      .option('--model <name>', 'model to enrol for; by default the default model')
      .option('--replace', 'replace a voice of the same name (in the pool)')
      .option('--tenant <id>', 'a voice of this tenant, rather than of the pool')
      .option('--consent <id>', "the speaker's consent (timbre consent add)")
      .option('--attested-by <name>', 'who compared the speaker of the consent with that of the recordings')
      .option('--style <name>', 'add this style to the voice, as its next version')
      .option('--new-version', 'make the usual style anew, as the next version')
      .option('--display-name <name>', 'what people call the voice')
      .option('--json', 'print the voice as JSON'),
  ).action((name: string, recordings: string[], flags: AddFlags) =>
    flags.tenant === undefined
      ? addVoice(context, name, recordings, flags)
      : addTenantVoice(context, name, recordings, { ...flags, tenant: flags.tenant }),
  );

  addEngineFlags(
    voice
      .command('list')
      .description('list the voices there are')
      .option('--tenant <id>', 'of this tenant, rather than of the pool')
      .option('--json', 'print them as JSON'),
  ).action((flags: JsonFlags) =>
    flags.tenant === undefined
      ? listVoices(context, flags)
      : listTenantVoices(context, { ...flags, tenant: flags.tenant }),
  );

  addEngineFlags(
    voice
      .command('remove')
      .description('remove a voice')
      .argument('<name>', 'name of the voice')
      .option('--tenant <id>', 'of this tenant, rather than of the pool'),
  ).action(async (name: string, flags: JsonFlags) => {
    if (flags.tenant !== undefined) {
      await removeTenantVoice(context, name, { ...flags, tenant: flags.tenant });
      return;
    }
    await withEngine(context, configFromFlags(context, flags), (engine) => engine.removeVoice(name));
    context.stdout.write(`removed ${name}\n`);
  });

  addTenantVoiceCommands(voice, context);
}

async function addVoice(
  context: CliContext,
  name: string,
  recordings: readonly string[],
  flags: AddFlags,
): Promise<void> {
  if ((flags.text === undefined) === !flags.promptFree) {
    const advice = 'say what the first recording says with --text "…", or take only its style with --prompt-free';
    throw new AppError('VOICE_INVALID', `a voice has either a transcript or none; ${advice}`);
  }
  const language = languageFlag(flags.lang);
  const summary = await withEngine(context, configFromFlags(context, flags), (engine) =>
    engine.enrolVoice(
      {
        name,
        recordings: recordings.map((path) => ({ path: resolve(path) })),
        transcript: flags.text ?? null,
        language,
        ...(flags.model === undefined ? {} : { model: flags.model }),
        replace: flags.replace ?? false,
      },
      { signal: context.signal },
    ),
  );
  if (flags.json) printJson(context, summary);
  else {
    const seconds = (summary.durationMs / 1000).toFixed(1);
    context.stdout.write(`enrolled ${summary.name} for model ${summary.model} from ${seconds} s of recordings\n`);
    for (const warning of summary.warnings) context.stdout.write(`  warning: ${warning}\n`);
    context.stdout.write(`try: timbre say "你好，世界。" --voice ${summary.name}\n`);
  }
}

async function listVoices(context: CliContext, flags: JsonFlags): Promise<void> {
  const { voices, defaultVoice } = await withEngine(context, configFromFlags(context, flags), async (engine) => ({
    voices: await engine.listVoices(),
    defaultVoice: engine.info.defaultVoice,
  }));
  if (flags.json) printJson(context, voices);
  else {
    const rows = voices.map((voice) => [
      voice.name === defaultVoice ? `${voice.name} (default)` : voice.name,
      voice.language,
      voice.model,
      `${(voice.durationMs / 1000).toFixed(1)} s`,
      voice.createdAt,
      voice.transcript ?? '(prompt-free)',
    ]);
    context.stdout.write(renderTable(['NAME', 'LANGUAGE', 'MODEL', 'LENGTH', 'ENROLLED', 'TRANSCRIPT'], rows));
    for (const { name, warnings } of voices) {
      for (const warning of warnings) context.stdout.write(`warning for ${name}: ${warning}\n`);
    }
  }
}
