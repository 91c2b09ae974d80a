import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import type { Command } from 'commander';
import { Value } from 'typebox/value';
import { SPEECH_LANGUAGES, SynthesizeFields } from '../api/synthesis.js';
import { ENCODING_FACTS, ENCODINGS, type Encoding } from '../audio/encode/encoder.js';
import { createAigcLabel } from '../audio/label.js';
import { createLabelledEncoder, type LabelledEncoder } from '../audio/labelled-encoder.js';
import type { Config } from '../config.js';
import type { AudioChunk, Engine, SynthesisRequest } from '../engine/engine-types.js';
import { AppError } from '../errors.js';
import { type CliContext, isTerminal, printJson, readWords } from './context.js';
import { languageFlag } from './language-flag.js';
import { createProgressLine } from './progress.js';
import { addEngineFlags, configFromFlags, type EngineFlags, withEngine } from './with-engine.js';

interface SayFlags extends EngineFlags {
  readonly voice?: string;
  readonly lang: string;
  readonly speed: string;
  readonly seed?: string;
  readonly ssml?: boolean;
  readonly lexicon?: string[];
  readonly adapter?: string;
  readonly output: string;
  readonly json?: boolean;
}

interface SayResult {
  readonly output: string;
  readonly voice: string;
  readonly seed: number;
  readonly sample_rate_hz: number;
  readonly duration_ms: number;
  readonly elapsed_ms: number;
  readonly first_audio_ms: number;
  readonly real_time_factor: number;
}

/** `timbre say "…"`: synthesises into a WAV file, or to standard output as it is made. */
export function addSayCommand(program: Command, context: CliContext): void {
  const command = program
    .command('say')
    .description('say a text into a WAV file')
    .argument('[text...]', 'what to say; "-" or nothing reads standard input')
    .option('-v, --voice <name>', 'voice to say it with; by default the default voice')
    .option('-l, --lang <language>', `language of the text: ${SPEECH_LANGUAGES.join(', ')}`, 'auto')
    .option('-s, --speed <factor>', '0.5 (slow) to 2 (fast)', '1')
    .option('--ssml', 'the text is an SSML document')
    .option('--lexicon <name...>', 'lexicons to use, the most important last')
    .option('--adapter <name>', 'adapter to say it with (timbre adapter list)')
    .option('--seed <n>', 'same seed, same audio; by default drawn anew')
    .option(
      '-o, --output <file>',
      'file to write: .wav, .mp3, .opus, .aac, .flac, .ogg; "-" streams WAV to standard output',
      'out.wav',
    )
    .option('--json', 'print what was made as JSON');
  addEngineFlags(command).action((words: string[], flags: SayFlags) => say(context, words, flags));
}

async function say(context: CliContext, words: readonly string[], flags: SayFlags): Promise<void> {
  const config = configFromFlags(context, flags, { defaultVoice: flags.voice });
  const text = await readWords(context, words);
  const speed = readFlag('speed', flags.speed);
  const seed = flags.seed === undefined ? randomInt(0, 2 ** 32) : readFlag('seed', flags.seed);
  const language = languageFlag(flags.lang);

  const result = await withEngine(context, config, async (engine): Promise<SayResult> => {
    const voice = config.defaultVoice ?? engine.info.defaultVoice;
    if (voice === null)
      throw new AppError('VOICE_NOT_FOUND', 'there is no voice yet; enrol one with "timbre voice add"');
    const request: SynthesisRequest = {
      text,
      voice,
      language,
      speed,
      seed,
      ...(flags.ssml ? { inputType: 'ssml' } : {}),
      ...(flags.adapter === undefined ? {} : { adapter: flags.adapter }),
      ...(flags.lexicon === undefined ? {} : { lexicons: flags.lexicon.map((name) => ({ name })) }),
    };
    const output = flags.output === '-' ? streamOutput(context, config) : await fileOutput(flags.output, config);
    const line = createProgressLine(context.stderr);
    const askedMs = performance.now();
    let firstAudioMs = 0;
    let lengthSamples = 0;
    let sampleRateHz = 0;
    try {
      line.update('synthesising');
      for await (const chunk of engine.synthesize(request, { signal: context.signal })) {
        if (lengthSamples === 0) firstAudioMs = performance.now() - askedMs;
        lengthSamples += chunk.samples.length;
        sampleRateHz = chunk.sampleRateHz;
        await output.append(chunk);
        line.update('synthesising', describeProgress(chunk, lengthSamples, performance.now() - askedMs));
      }
      if (lengthSamples === 0) throw new AppError('SYNTHESIS_FAILED', 'the engine made no audio for this text');
      await output.finish();
    } catch (error) {
      await output.discard();
      if (error instanceof AppError || context.signal.aborted) throw error;
      throw new AppError('SYNTHESIS_FAILED', 'the engine failed unexpectedly', { cause: error });
    } finally {
      line.clear();
    }
    const elapsedMs = performance.now() - askedMs;
    const durationMs = (lengthSamples / sampleRateHz) * 1000;
    return {
      output: output.path,
      voice,
      seed,
      sample_rate_hz: sampleRateHz,
      duration_ms: Math.round(durationMs),
      elapsed_ms: Math.round(elapsedMs),
      first_audio_ms: Math.round(firstAudioMs),
      real_time_factor: Number((elapsedMs / durationMs).toFixed(3)),
    };
  });

  if (flags.json && flags.output !== '-') printJson(context, result);
  else {
    const { duration_ms, elapsed_ms, real_time_factor, first_audio_ms } = result;
    const summary = `${result.output}: ${seconds(duration_ms)} of speech in ${seconds(elapsed_ms)} (real-time factor ${real_time_factor}, first audio after ${seconds(first_audio_ms)}, voice ${result.voice}, seed ${seed})\n`;
    (flags.output === '-' ? context.stderr : context.stdout).write(summary);
  }
}

/** Says requests into WAV files with one engine, in the voice of the configuration or the default one. */
export async function saveSpeech(
  context: CliContext,
  config: Config,
  requests: readonly { readonly request: Omit<SynthesisRequest, 'voice'>; readonly output: string }[],
  running?: Engine,
): Promise<void> {
  const speak = async (engine: Engine) => {
    const voice = config.defaultVoice ?? engine.info.defaultVoice;
    if (voice === null)
      throw new AppError('VOICE_NOT_FOUND', 'there is no voice yet; enrol one with "timbre voice add"');
    for (const { request, output } of requests) {
      const file = await fileOutput(output, config);
      try {
        for await (const chunk of engine.synthesize({ ...request, voice }, { signal: context.signal })) {
          await file.append(chunk);
        }
        await file.finish();
      } catch (error) {
        await file.discard();
        throw error;
      }
    }
  };
  await (running === undefined ? withEngine(context, config, speak) : speak(running));
}

function describeProgress(chunk: AudioChunk, lengthSamples: number, elapsedMs: number): string {
  const audioMs = (lengthSamples / chunk.sampleRateHz) * 1000;
  const sentence = `sentence ${chunk.sentenceIndex + 1}/${chunk.sentenceCount}`;
  return `${sentence}, ${seconds(audioMs)} of speech, real-time factor ${(elapsedMs / audioMs).toFixed(2)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

/** A number within the bounds that the HTTP API has for the same field. */
function readFlag(name: 'speed' | 'seed', text: string): number {
  const schema = SynthesizeFields.properties[name];
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Value.Check(schema, value)) {
    const kind = name === 'seed' ? 'a whole number from 0 to 4294967295' : 'a number from 0.5 to 2';
    throw new AppError('REQUEST_INVALID', `--${name} is ${JSON.stringify(text)}; expected ${kind}`);
  }
  return value;
}

interface Output {
  readonly path: string;
  append(chunk: AudioChunk): Promise<void>;
  finish(): Promise<void>;
  discard(): Promise<void>;
}

type LabelSettings = Pick<Config, 'contentProducer' | 'watermark' | 'audibleCue'>;

/** Speech that leaves this way is labelled like all other. */
async function openEncoder(
  { contentProducer, watermark, audibleCue }: LabelSettings,
  inputHz: number,
  encoding: Encoding,
  layout: 'stream' | 'file',
): Promise<LabelledEncoder> {
  const label = createAigcLabel({ producer: contentProducer, produceId: randomUUID() });
  return await createLabelledEncoder({ encoding, inputHz, layout, label, watermark, cue: audibleCue });
}

/** A file that appears under its name when it is whole; its ending says how it is encoded. */
async function fileOutput(output: string, config: LabelSettings): Promise<Output> {
  const encoding = encodingOf(output);
  const path = resolve(output);
  const partPath = `${path}.${randomBytes(4).toString('hex')}.part`;
  let file: FileHandle;
  try {
    file = await open(partPath, 'wx');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('CONFIG_INVALID', `cannot write ${output}: ${reason}; choose another file with -o`, {
      cause: error,
    });
  }
  let encoder: LabelledEncoder | null = null;
  return {
    path: output,
    async append(chunk) {
      encoder ??= await openEncoder(config, chunk.sampleRateHz, encoding, 'file');
      await file.appendFile(encoder.push(chunk.samples));
    },
    async finish() {
      await file.appendFile(encoder?.finish() ?? new Uint8Array());
      const header = encoder?.fileHeader() ?? null;
      if (header !== null) await file.write(header, 0, undefined, 0);
      await file.close();
      await rename(partPath, path);
    },
    async discard() {
      encoder?.discard();
      await file.close().catch(() => {});
      await rm(partPath, { force: true });
    },
  };
}

/** By the name of the file, WAV where that has no ending. Throws `REQUEST_INVALID` for an ending that nothing is written as. */
function encodingOf(output: string): Encoding {
  const extension = extname(output).slice(1).toLowerCase();
  if (extension === '') return 'wav';
  const encoding = ENCODINGS.find((each) => ENCODING_FACTS[each].extension === extension);
  if (encoding !== undefined) return encoding;
  const known = ENCODINGS.map((each) => `.${ENCODING_FACTS[each].extension}`).join(', ');
  throw new AppError('REQUEST_INVALID', `no audio is written as .${extension} ("${output}"); expected one of ${known}`);
}

/** A WAV stream on standard output, for a player: `timbre say … -o - | aplay`. */
function streamOutput({ stdout }: CliContext, config: LabelSettings): Output {
  if (isTerminal(stdout)) {
    throw new AppError(
      'CONFIG_INVALID',
      'standard output is a terminal; pipe it into a player, or write a file with -o',
    );
  }
  let encoder: LabelledEncoder | null = null;
  const write = async (bytes: Uint8Array) => {
    if (!stdout.write(bytes)) await new Promise<void>((drained) => stdout.once('drain', drained));
  };
  return {
    path: '-',
    async append(chunk) {
      encoder ??= await openEncoder(config, chunk.sampleRateHz, 'wav', 'stream');
      await write(encoder.push(chunk.samples));
    },
    finish: async () => await write(encoder?.finish() ?? new Uint8Array()),
    discard: async () => encoder?.discard(),
  };
}
