import { measureLevel } from '../audio/level.js';
import { measureSignalToNoise } from '../audio/noise.js';
import { AppError } from '../errors.js';
import type { RecordingCheck } from './engine-types.js';
import { MAX_REFERENCE_SECONDS, MIN_REFERENCE_SECONDS, type ReferenceRecording } from './reference-recording.js';
import { checkSingleSpeaker, type SpeakerEmbedding } from './speaker-comparison.js';

type Finding = Omit<RecordingCheck, 'recording'>;

/** A bound on one measurement: what is beyond `refused` cannot make a voice, what is beyond `warning` makes a poor one. */
interface Bound {
  readonly check: Finding['check'];
  readonly value: number;
  /** Whether small values are the bad ones. */
  readonly bad: 'low' | 'high';
  readonly warning: number;
  readonly refused: number;
  readonly found: string;
  readonly advice: string;
}

/** Where {@link readReferenceRecording} refuses, by the code it refuses with. */
const REFUSED_BY: Readonly<Partial<Record<AppError['code'], Finding['check']>>> = {
  AUDIO_TOO_SHORT: 'length',
  AUDIO_TOO_LONG: 'length',
  AUDIO_SILENT: 'silence',
};

/** A recording that could not be read as one is refused by what was wrong with it. */
export function refusedReading(error: AppError): Finding {
  return { check: REFUSED_BY[error.code] ?? 'format', outcome: 'refused', message: error.message, value: null };
}

/**
 * Everything that is checked of a recording before a voice is made of it, each with what was found and, where that is not
 * good, what to do about it. `speakerEmbedding` null: whether one person speaks is not checked, and said so.
 */
export async function checkRecording(
  recording: ReferenceRecording,
  speakerEmbedding: SpeakerEmbedding | null,
): Promise<Finding[]> {
  const { samples, sampleRateHz, durationSeconds } = recording;
  const level = measureLevel(samples, sampleRateHz);
  const signalToNoiseDb = measureSignalToNoise(samples, sampleRateHz);
  const heardShare = level.activeSeconds / durationSeconds;
  const bounds: Bound[] = [
    {
      check: 'level',
      value: level.activeLevelDb,
      bad: 'low',
      warning: -45,
      refused: -55,
      found: `speech at ${level.activeLevelDb.toFixed(0)} dB below full scale`,
      advice: 'record closer to the microphone, or raise its level until speech peaks near -6 dB',
    },
    {
      check: 'clipping',
      value: level.clippedFraction,
      bad: 'high',
      warning: 0.001,
      refused: 0.02,
      found: `${(100 * level.clippedFraction).toFixed(2)} % of the samples at the ceiling`,
      advice: 'lower the recording level, and record again: what was cut off cannot be brought back',
    },
    {
      check: 'noise',
      value: signalToNoiseDb,
      bad: 'low',
      warning: 20,
      refused: 8,
      found: `speech ${signalToNoiseDb.toFixed(0)} dB above the background`,
      advice: 'record in a quiet room, without music, fans or traffic: the voice would copy them',
    },
    {
      check: 'silence',
      value: heardShare,
      bad: 'low',
      warning: 0.4,
      refused: 0.15,
      found: `${level.activeSeconds.toFixed(1)} of ${durationSeconds.toFixed(1)} s are sound`,
      advice: 'cut the silence before, between and after the sentences',
    },
    {
      check: 'bandwidth',
      value: sampleRateHz,
      bad: 'low',
      warning: 16_000,
      refused: 8000,
      found: `${sampleRateHz} samples a second`,
      advice: 'record at 16 kHz or more; a telephone recording makes a telephone voice',
    },
  ];
  const findings = [checkLength(durationSeconds), ...bounds.map(judge)];
  if (recording.truncated) {
    findings.push({
      check: 'format',
      outcome: 'warning',
      message: 'the file is damaged or cut short, and only what could be decoded was used; send the whole file',
      value: null,
    });
  }
  findings.push(await checkSingleSpeaker(recording, speakerEmbedding));
  return findings;
}

function checkLength(seconds: number): Finding {
  const [shortest, longest] = [3, 10];
  const ideal = seconds >= shortest && seconds <= longest;
  const message = `${seconds.toFixed(1)} s long`;
  return {
    check: 'length',
    outcome: ideal ? 'ok' : 'warning',
    message: ideal
      ? message
      : `${message}; ${shortest} to ${longest} s of continuous speech give the best voice, ${MIN_REFERENCE_SECONDS} to ${MAX_REFERENCE_SECONDS} are taken`,
    value: seconds,
  };
}

function judge({ check, value, bad, warning, refused, found, advice }: Bound): Finding {
  const beyond = (bound: number) => (bad === 'low' ? value < bound : value > bound);
  const outcome = beyond(refused) ? 'refused' : beyond(warning) ? 'warning' : 'ok';
  return { check, outcome, message: outcome === 'ok' ? found : `${found}; ${advice}`, value };
}

/** Scripts that a transcript in a language is written in. */
const SCRIPTS: Readonly<Record<string, { readonly letters: RegExp; readonly name: string }>> = {
  zh: { letters: /\p{Script=Han}/u, name: 'Chinese characters' },
  yue: { letters: /\p{Script=Han}/u, name: 'Chinese characters' },
  ja: { letters: /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u, name: 'kana or kanji' },
  ko: { letters: /\p{Script=Hangul}/u, name: 'hangul' },
  en: { letters: /\p{Script=Latin}/u, name: 'Latin letters' },
};

/** Whether a transcript is written in its language, and says about as much as can be said in the time. */
export function checkTranscript(
  transcript: string,
  language: string,
  { phonemes, activeSeconds }: { readonly phonemes: number; readonly activeSeconds: number },
): Finding[] {
  const script = SCRIPTS[language.replace('all_', '')];
  const findings: Finding[] = [];
  if (script !== undefined) {
    const fits = script.letters.test(transcript);
    findings.push({
      check: 'language',
      outcome: fits ? 'ok' : 'refused',
      message: fits
        ? `the transcript is written in ${language}`
        : `the language is ${language}, and the transcript has no ${script.name}; name the language that is spoken`,
      value: null,
    });
  }
  const perSecond = phonemes / activeSeconds;
  const seen = `${phonemes} phonemes in ${activeSeconds.toFixed(1)} s of speech`;
  const outcome = perSecond < 1 || perSecond > 40 ? 'refused' : perSecond < 2 || perSecond > 30 ? 'warning' : 'ok';
  findings.push({
    check: 'transcript',
    outcome,
    message: outcome === 'ok' ? seen : `${seen}; the transcript must say exactly what is heard, no more and no less`,
    value: perSecond,
  });
  return findings;
}

/** Throws `AUDIO_UNFIT` with everything that is to be improved, where anything was refused. */
export function throwIfRefused(checks: readonly RecordingCheck[], recordingCount: number): void {
  const refused = checks.filter(({ outcome }) => outcome === 'refused');
  if (refused.length === 0) return;
  const sentences = refused.map(({ recording, check, message }) => {
    const which = recordingCount === 1 ? '' : `recording ${recording + 1}, `;
    return `${which}${check}: ${message}`;
  });
  throw new AppError('AUDIO_UNFIT', `no voice can be made of this yet. ${sentences.join('. ')}`);
}
