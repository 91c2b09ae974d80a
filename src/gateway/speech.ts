import type { FastifyRequest } from 'fastify';
import { PRIORITIES } from '../api/synthesis.js';
import type { Encoding } from '../audio/encode/encoder.js';
import { createAigcLabel } from '../audio/label.js';
import { createLabelledEncoder, type LabelledEncoder } from '../audio/labelled-encoder.js';
import type { AllowedVoice } from '../catalog/voice-access.js';
import { AppError } from '../errors.js';
import type { AdapterReference, AudioEvent, SpeechEvent, SpeechRequest, SpokenSpan } from '../jobs/speech-queue.js';
import type { TimbreMetrics } from '../metrics.js';
import { whenKnown } from '../recall.js';
import type { RecordedOutcome, SpeechOutcome } from '../tenancy/call-ledger.js';
import type { GatewayOptions } from './app.js';
import { callerOf } from './authentication.js';
import { voicesIn } from './markup-voices.js';
import { outcomeOf, recorded } from './recorded-speech.js';
import { replaySpeech } from './replay-speech.js';

/** How the audio leaves: see {@link createEncoder}. */
export interface SpeechOutput {
  readonly encoding: Encoding;
  readonly outputHz?: number;
  readonly bitrateKbps?: number;
  readonly layout: 'stream' | 'bare-stream' | 'file';
}

export type SpeechPriority = (typeof PRIORITIES)[number];

export interface SpeechCall {
  /** Who asked, and by which route. */
  readonly request: FastifyRequest;
  /** The request's id; pieces of one connection have their own. */
  readonly id: string;
  readonly speech: SpeechRequest;
  readonly textCharacters: number;
  readonly output: SpeechOutput;
  /** Absent: what the header `X-Timbre-Priority` says, or interactive. */
  readonly priority?: SpeechPriority | undefined;
  /** The caller, or the configuration, named the seed: the same request may come again. */
  readonly repeatable: boolean;
  /** Says that the caller wants no more. Asked for its signal only where something is made: speech made before needs none. */
  readonly cancel: { readonly signal: AbortSignal };
  /** The voice was made for this very request, of a recording that the tenant may use. */
  readonly madeOfRecording?: boolean;
  /** The adapter of all its voices, `calm` or `calm@3`; empty: none. Absent: each voice has its own, where there is one. */
  readonly adapter?: string | undefined;
}

export interface SpeechPiece {
  /** May be empty: an encoder holds back part of a frame. */
  readonly bytes: Uint8Array;
  /** Of the speech itself, before it was encoded, at `inputHz`. */
  readonly lengthSamples: number;
  readonly sentenceIndex: number;
  readonly sentenceCount: number;
  /** With the last audio of a sentence: when its text is heard, in samples from the beginning of the audio, cue included. */
  readonly spoken?: readonly SpokenSpan[];
}

/** A synthesis whose first audio has come. */
export interface OpenSpeech {
  readonly contentType: string;
  readonly extension: string;
  readonly inputHz: number;
  readonly outputHz: number;
  /** All of the stream at once, where it was made before: what is sent one after the other. */
  readonly whole?: readonly Uint8Array[];
  /** Bytes as they are made; leaving the iteration cancels the synthesis. */
  readonly pieces: AsyncGenerator<SpeechPiece, void, undefined>;
  /** Of all that was made so far, cues included, at `inputHz`. */
  readonly lengthSamples: number;
  /** Sentences that the engine's self-check drew again or cut so far. */
  readonly faults: number;
  /** After the last piece: what a file should begin with, or null. */
  fileHeader(): Uint8Array | null;
  /** Marks of the markup in the pieces so far. */
  readonly marks: readonly { readonly name: string; readonly timeMs: number }[];
}

/** The labelled encoder of one stretch of speech, which may be made of several syntheses. */
export async function createSpeechEncoder(
  { config }: Pick<GatewayOptions, 'config'>,
  { id, inputHz, output }: { readonly id: string; readonly inputHz: number; readonly output: SpeechOutput },
): Promise<LabelledEncoder> {
  return await createLabelledEncoder({
    ...output,
    inputHz,
    label: createAigcLabel({ producer: config.contentProducer, produceId: id }),
    watermark: config.watermark,
    cue: config.audibleCue,
  });
}

/** A synthesis whose first audio has come, as samples. */
export interface StartedSpeech {
  readonly first: AudioEvent;
  readonly rest: AsyncGenerator<AudioEvent, void, undefined>;
  /** What was put on record at its end; null before. */
  readonly outcome: () => RecordedOutcome | null;
}

/** A call in a voice that its tenant may use now. */
export interface AllowedSpeech {
  readonly voice: AllowedVoice;
  /** The other voices that its markup asks for. */
  readonly cast: readonly AllowedVoice[];
  /** All with whose end the call ends: besides those, the voice that its adapter is of. */
  readonly watched: readonly AllowedVoice[];
  /** As the engine is asked for it. */
  readonly speech: SpeechRequest;
}

/** What the request's header says. Throws `REQUEST_INVALID`. */
function priorityOf({ headers }: FastifyRequest): SpeechPriority {
  const said = headers['x-timbre-priority'] ?? 'interactive';
  const known = PRIORITIES.find((priority) => priority === said);
  if (known !== undefined) return known;
  throw new AppError(
    'REQUEST_INVALID',
    `the header X-Timbre-Priority is not understood; expected ${PRIORITIES.join(' or ')}`,
  );
}

/**
 * The one place where a voice is let speak, with the tenant's lexicons and adapters as they are now. Throws `VOICE_NOT_FOUND`,
 * `VOICE_DISABLED`, `CONSENT_…`, `ADAPTER_NOT_FOUND`.
 */
export async function allowSpeech(
  { voices, lexicons, adapters }: Pick<GatewayOptions, 'voices' | 'lexicons' | 'adapters'>,
  call: Pick<SpeechCall, 'request' | 'speech' | 'madeOfRecording' | 'adapter'>,
): Promise<AllowedSpeech> {
  const { request, speech, madeOfRecording = false } = call;
  const { tenantId } = callerOf(request);
  // Nearly always all of it was asked a moment ago, and nothing is waited for.
  const used = voices.access.useKnown(tenantId, speech.voice, { madeOfRecording });
  const voice = used instanceof Promise ? await used : used;
  const { name, profiles } = voice;
  // A style is read as its voice is. Lexicons that the request names stand in for the usual ones.
  const base = profiles === null ? name : (name.split('.')[0] ?? name);
  const usual = speech.suppliedLexicons ?? lexicons.usualFor(tenantId, base);
  const suppliedLexicons = usual instanceof Promise ? await usual : usual;
  const asked = speech.inputType === 'ssml' ? voicesIn(speech.text) : [];
  const cast = asked.length === 0 ? [] : await Promise.all(asked.map((each) => voices.access.use(tenantId, each)));
  const everybody = [voice, ...cast];
  const found = adaptersOf(adapters, tenantId, everybody, call.adapter);
  const suppliedAdapters = found instanceof Promise ? await found : found;
  const watched = call.adapter ? [...everybody, ...(await voiceOfAdapter(voices, tenantId, call.adapter))] : everybody;
  // Not `{ ...speech, tenant }`: what a spread began, V8 (of Node 20) takes ten times as long to add to.
  const unadapted = Object.assign({}, speech, { tenant: tenantId, voice: name, suppliedLexicons });
  const named = suppliedAdapters === null ? unadapted : { ...unadapted, suppliedAdapters };
  if (everybody.every((each) => each.profiles === null)) {
    return { voice, cast, watched, speech: cast.length === 0 ? named : { ...named, voices: rolesOf(asked, cast) } };
  }
  const supplied = Object.assign({}, ...everybody.map((each) => each.profiles ?? {})) as NonNullable<typeof profiles>;
  const poolVoices = everybody.flatMap((each) => (each.profiles === null ? [each.name] : []));
  const speaking = { ...named, voices: rolesOf(asked, cast), profiles: supplied, poolVoices };
  return { voice, cast, watched, speech: speaking };
}

type SuppliedAdapters = Readonly<Record<string, AdapterReference>>;

/**
 * What voices speak with, by the engine's names of them and their styles; null: nothing. A voice that was shared brings its
 * owner's adapter along.
 */
function adaptersOf(
  adapters: GatewayOptions['adapters'],
  tenantId: string,
  voices: readonly AllowedVoice[],
  wanted: string | undefined,
): SuppliedAdapters | null | Promise<SuppliedAdapters | null> {
  if (wanted === '') return null;
  const [only, ...others] = voices;
  // Nearly always it is one, of the pool, and has none.
  return wanted === undefined && only?.profiles === null && others.length === 0
    ? whenKnown(adapters.usualFor(tenantId, only.name), (adapter) => adapter && { [only.name]: adapter })
    : adaptersOfAll(adapters, tenantId, voices, wanted);
}

async function adaptersOfAll(
  adapters: GatewayOptions['adapters'],
  tenantId: string,
  voices: readonly AllowedVoice[],
  wanted: string | undefined,
): Promise<SuppliedAdapters | null> {
  const named = wanted === undefined ? null : await adapters.named(tenantId, wanted);
  const used: [name: string, adapter: AdapterReference][] = [];
  const look = async (name: string, tenant: string) => {
    const adapter = named ?? (await adapters.usualFor(tenant, name));
    if (adapter !== null) used.push([name, adapter]);
  };
  // One after the other: nearly always it is one, and all of one tenant are one question.
  for (const { name, profiles } of voices) {
    if (profiles === null) await look(name, tenantId);
    else for (const [each, { tenant }] of Object.entries(profiles)) await look(each, tenant);
  }
  return used.length === 0 ? null : Object.fromEntries(used);
}

/**
 * The voice whose name a named adapter has: it is made of that speaker, so whoever else speaks with it does so under that
 * speaker's consent. Throws as {@link allowSpeech}.
 */
async function voiceOfAdapter(
  { access }: GatewayOptions['voices'],
  tenantId: string,
  wanted: string,
): Promise<readonly AllowedVoice[]> {
  const name = wanted.split(/[.@]/)[0] ?? '';
  return name !== '' && (await access.has(tenantId, name)) ? [await access.use(tenantId, name)] : [];
}

/** The engine's names of voices by those that the markup calls them by. */
function rolesOf(asked: readonly string[], cast: readonly AllowedVoice[]): Record<string, string> {
  return Object.fromEntries(cast.map(({ name }, i) => [asked[i] ?? name, name]));
}

/**
 * Lets a synthesis in (limits), queues it while its record is being written, and waits until that is safe and its first
 * audio there, on which `prepare` may work meanwhile. It ends with its voice: a revoked consent stops what is being said.
 *
 * Throws what {@link allowSpeech}, {@link CallLedger.begin}, the queue and the engine throw, `AUDIT_UNAVAILABLE`, and
 * `SHUTTING_DOWN`.
 */
export async function startSpeech(
  gateway: GatewayOptions,
  call: Omit<SpeechCall, 'output' | 'repeatable'>,
  allowed?: AllowedSpeech,
  prepare?: (first: AudioEvent) => Promise<void>,
): Promise<StartedSpeech> {
  const { queue, metrics, draining, calls } = gateway;
  if (draining.aborted) {
    throw new AppError('SHUTTING_DOWN', 'the server is shutting down; send the request to another one, or again later');
  }
  const { request, id, textCharacters } = call;
  const priority = call.priority ?? priorityOf(request);
  const { voice, cast, watched, speech } = allowed ?? (await allowSpeech(gateway, call));
  const caller = callerOf(request);
  const opened = await calls.begin(caller, callFacts(call, { voice, cast, speech }));
  request.rateHeaders = opened.headers;
  metrics.characters.inc({}, textCharacters);
  const { tenantId } = caller;
  const asked = priority === 'batch' ? { ...speech, urgency: 'batch' as const } : speech;
  const job = { id, request: asked, tenant: tenantId, weight: opened.weight, priority };
  const uses = watched.flatMap((each) => each.watch() ?? []);
  const signal = AbortSignal.any([call.cancel.signal, ...uses.map((use) => use.signal)]);
  const events = measured(queue.submit(job, { signal }), metrics, signal);
  let outcome: RecordedOutcome | null = null;
  const end = (ended: SpeechOutcome) => {
    for (const use of uses) use.release();
    outcome = { ...ended, textDigest: opened.textDigest };
    opened.end(ended);
  };
  const rest = onlyAudio(recorded(events, { safe: opened.safe, end }, signal, prepare));
  const first = await rest.next();
  if (first.done) throw new AppError('SYNTHESIS_FAILED', 'the engine made no audio for this text; try another wording');
  return { first: first.value, rest, outcome: () => outcome };
}

/** What the ledger is told of a call. */
export function callFacts(
  { request, id, textCharacters }: Pick<SpeechCall, 'request' | 'id' | 'textCharacters'>,
  { voice, cast, speech }: Pick<AllowedSpeech, 'voice' | 'cast' | 'speech'>,
) {
  const facts = {
    requestId: id,
    route: request.routeOptions.url ?? 'none',
    voice: voice.name,
    voiceVersion: voice.version,
    model: voice.model,
    adapter: adapterNames(speech, [voice, ...cast]),
    text: speech.text,
    characters: textCharacters,
  };
  return cast.length === 0 ? facts : { ...facts, cast: cast.map(({ name }) => name) };
}

/** The adapters of the voices that a call may use, for its record. */
function adapterNames({ suppliedAdapters }: SpeechRequest, voices: readonly AllowedVoice[]): string | null {
  if (suppliedAdapters === undefined) return null;
  const names = new Set(voices.flatMap(({ name }) => suppliedAdapters[name]?.name ?? []));
  return names.size === 0 ? null : [...names].join(', ');
}

/**
 * The one way from a request to audio that every dialect takes: queue, label, encoder. Resolves with the first audio, so
 * that whatever fails before it can be an ordinary answer.
 *
 * Throws what {@link startSpeech} throws, and `REQUEST_INVALID` for a rate that the encoding lacks.
 */
export async function openSpeech(gateway: GatewayOptions, asked: SpeechCall): Promise<OpenSpeech> {
  const { speechCache } = gateway;
  // Read here, so that it is also refused to whom speech made before would answer.
  const priority = asked.priority ?? priorityOf(asked.request);
  const { tenantId } = callerOf(asked.request);
  const allowed = await allowSpeech(gateway, asked);
  const found = asked.repeatable ? speechCache.keyOf(tenantId, allowed.speech, asked.output) : null;
  const key = found instanceof Promise ? await found : found;
  const kept = key === null ? null : speechCache.find(key);
  if (kept !== null) return replaySpeech(gateway, asked, allowed, kept);
  const call = { ...asked, priority };
  const encoding: { encoder?: LabelledEncoder; firstBytes?: Uint8Array } = {};
  const encodeFirst = async ({ samples, sampleRateHz: inputHz }: AudioEvent) => {
    encoding.encoder = await createSpeechEncoder(gateway, { id: call.id, inputHz, output: call.output });
    encoding.firstBytes = encoding.encoder.push(samples);
  };
  const { first, rest, outcome } = await startSpeech(gateway, call, allowed, encodeFirst).catch((error: unknown) => {
    encoding.encoder?.discard();
    throw error;
  });
  const { encoder, firstBytes } = encoding;
  if (encoder === undefined || firstBytes === undefined) throw new Error('speech began without its encoder');
  const inputHz = first.sampleRateHz;
  const { contentType, extension, outputHz } = encoder;
  const progress: Progress = { faults: first.faults ?? 0, marks: [] };
  const made = encodePieces({ first, firstBytes, rest }, encoder, progress);
  const whole = (pieces: readonly SpeechPiece[]) => {
    const ended = outcome();
    if (key === null || ended?.outcome !== 'ok') return;
    const { lengthSamples } = encoder;
    const { faults } = progress;
    const facts = { contentType, extension, inputHz, outputHz, lengthSamples, faults, outcome: ended };
    void speechCache.keep(key, { speech: allowed.speech, output: call.output }, { ...facts, pieces });
  };
  return {
    contentType,
    extension,
    inputHz,
    outputHz,
    pieces: key === null ? made : collecting(made, speechCache.maxStreamBytes, whole),
    fileHeader: () => encoder.fileHeader(),
    get lengthSamples() {
      return encoder.lengthSamples;
    },
    get faults() {
      return progress.faults;
    },
    get marks() {
      return progress.marks;
    },
  };
}

/** Passes pieces on, and gives them all to `whole` when they came to their end and are not more than `maxBytes`. */
async function* collecting(
  pieces: AsyncGenerator<SpeechPiece, void, undefined>,
  maxBytes: number,
  whole: (pieces: readonly SpeechPiece[]) => void,
): AsyncGenerator<SpeechPiece, void, undefined> {
  const collected: SpeechPiece[] = [];
  let sizeBytes = 0;
  for await (const piece of pieces) {
    sizeBytes += piece.bytes.length;
    if (sizeBytes <= maxBytes) collected.push(piece);
    else collected.length = 0;
    yield piece;
  }
  if (sizeBytes <= maxBytes) whole(collected);
}

/** What is known of a synthesis so far. */
interface Progress {
  faults: number;
  readonly marks: { readonly name: string; readonly timeMs: number }[];
}

async function* onlyAudio(events: AsyncIterable<SpeechEvent>): AsyncGenerator<AudioEvent, void, undefined> {
  for await (const event of events) if (event.type === 'audio') yield event;
}

async function* encodePieces(
  {
    first,
    firstBytes,
    rest,
  }: {
    readonly first: AudioEvent;
    readonly firstBytes: Uint8Array;
    readonly rest: AsyncGenerator<AudioEvent, void, undefined>;
  },
  encoder: LabelledEncoder,
  progress: Progress,
): AsyncGenerator<SpeechPiece, void, undefined> {
  let last = first;
  const pieceOf = (event: AudioEvent, bytes: Uint8Array): SpeechPiece => {
    last = event;
    progress.faults = Math.max(progress.faults, event.faults ?? 0);
    progress.marks.push(...(event.marks ?? []));
    const { samples, sentenceIndex, sentenceCount, spoken } = event;
    const { leadSamples } = encoder;
    return {
      bytes,
      lengthSamples: samples.length,
      sentenceIndex,
      sentenceCount,
      ...(spoken === undefined ? {} : { spoken: spoken.map((span) => behind(span, leadSamples)) }),
    };
  };
  try {
    yield pieceOf(first, firstBytes);
    for await (const event of rest) yield pieceOf(event, encoder.push(event.samples));
    const { sentenceIndex, sentenceCount } = last;
    yield { bytes: encoder.finish(), lengthSamples: 0, sentenceIndex, sentenceCount };
  } finally {
    encoder.discard();
    await rest.return();
  }
}

function behind(span: SpokenSpan, leadSamples: number): SpokenSpan {
  const { startSample, endSample } = span;
  return { ...span, startSample: leadSamples + startSample, endSample: leadSamples + endSample };
}

/** Passes events on and counts: time to the first audio, real-time factor from the start of the work, the outcome. */
async function* measured(
  events: AsyncIterable<SpeechEvent>,
  metrics: TimbreMetrics,
  signal: AbortSignal,
): AsyncGenerator<SpeechEvent, void, undefined> {
  const askedMs = performance.now();
  let startedMs = askedMs;
  let audioSeconds = 0;
  let outcome = 'cancelled';
  try {
    for await (const event of events) {
      if (event.type === 'started') startedMs = performance.now();
      else {
        if (audioSeconds === 0) metrics.firstAudioSeconds.observe((performance.now() - askedMs) / 1000);
        audioSeconds += event.samples.length / event.sampleRateHz;
      }
      yield event;
    }
    outcome = 'ok';
    if (audioSeconds > 0) metrics.realTimeFactor.observe((performance.now() - startedMs) / 1000 / audioSeconds);
  } catch (error) {
    outcome = outcomeOf(error, signal);
    throw error;
  } finally {
    metrics.syntheses.inc({ outcome });
    metrics.audioSeconds.inc({}, audioSeconds);
  }
}
