import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename, isAbsolute, relative, resolve } from 'node:path';
import { readAudioFile } from '../audio/decode.js';
import { RECORDING_VOICE_PREFIX, type VoiceAccess } from '../catalog/voice-access.js';
import { AppError } from '../errors.js';
import type { EngineCatalog } from '../jobs/engine-catalog.js';
import type { SpeechRequest } from '../jobs/speech-queue.js';
import { listVoices } from './voice-directory.js';

const MAX_RECORDING_BYTES = 20 * 1024 * 1024;
const MAX_KNOWN = 10_000;

export interface ReferenceRecording {
  readonly path: string;
  readonly auxiliaryPaths: readonly string[];
  /** Empty: the voice's style only. */
  readonly promptText: string;
  readonly promptLanguage: SpeechRequest['language'];
  readonly model: string | null;
}

/**
 * Voices for requests that bring the path of a recording, as the reference implementation's do. The operator's folder
 * holds the recordings; nothing outside it can be named. The voice's name is a digest of all it was made of, so that two
 * requests with one recording share it, and none can get another's.
 */
export class ReferenceVoices {
  readonly #folder: string | null;
  readonly #catalog: EngineCatalog;
  readonly #access: VoiceAccess;
  /** Made, or being made. */
  readonly #known = new Map<string, Promise<string>>();

  constructor(folder: string | null, catalog: EngineCatalog, access: VoiceAccess) {
    this.#folder = folder;
    this.#catalog = catalog;
    this.#access = access;
  }

  /**
   * The voice for a recording: a file of the folder, where the tenant may use recordings without a consent, or the name
   * of a voice.
   *
   * Throws `CONSENT_REQUIRED`, `AUDIO_NOT_FOUND` for what is neither, and what enrolment throws.
   */
  async voiceFor(tenantId: string, recording: ReferenceRecording): Promise<string> {
    if (await this.#access.has(tenantId, recording.path)) return recording.path;
    const voices = await listVoices(this.#catalog);
    if (voices.some((voice) => voice.name === recording.path && !isReferenceVoice(voice.name))) return recording.path;
    await this.#access.requireOwnRecordings(tenantId);
    const main = await this.read(recording.path);
    const auxiliary = await this.#readThoseThatExist(recording.auxiliaryPaths);
    const recordings = [main, ...auxiliary];
    const hash = createHash('sha256');
    for (const { bytes } of recordings) hash.update(createHash('sha256').update(bytes).digest());
    hash.update(JSON.stringify([recording.promptText, recording.promptLanguage, recording.model]));
    const name = `${RECORDING_VOICE_PREFIX}${hash.digest('hex').slice(0, 40)}`;
    const known = this.#known.get(name);
    if (known !== undefined) return await known;
    const made = voices.some((voice) => voice.name === name)
      ? Promise.resolve(name)
      : this.#catalog
          .enrolVoice({
            name,
            recordings,
            transcript: recording.promptText === '' ? null : recording.promptText,
            language: recording.promptLanguage,
            ...(recording.model === null ? {} : { model: recording.model }),
          })
          .then(() => name);
    const oldest = this.#known.keys().next();
    if (this.#known.size >= MAX_KNOWN && !oldest.done) this.#known.delete(oldest.value);
    this.#known.set(name, made);
    try {
      return await made;
    } catch (error) {
      this.#known.delete(name);
      throw error;
    }
  }

  /** The bytes of a file inside the folder, links followed. Whatever is outside is as if it were not there. */
  async read(path: string): Promise<{ readonly bytes: Uint8Array; readonly fileName: string }> {
    const inside = await this.#resolveInside(path);
    if (inside === null) {
      const where =
        this.#folder === null
          ? 'no folder of recordings is set (TIMBRE_REFERENCE_FOLDER)'
          : 'the folder of recordings has no such file';
      throw new AppError('AUDIO_NOT_FOUND', `${where}; give a path inside it, or the name of a voice`);
    }
    return { bytes: await readAudioFile(inside, { maxSizeBytes: MAX_RECORDING_BYTES }), fileName: basename(inside) };
  }

  async #readThoseThatExist(paths: readonly string[]) {
    const found: { bytes: Uint8Array; fileName: string }[] = [];
    for (const path of paths) {
      try {
        found.push(await this.read(path));
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'AUDIO_NOT_FOUND')) throw error;
      }
    }
    return found;
  }

  async #resolveInside(path: string): Promise<string | null> {
    if (this.#folder === null || path === '' || path.includes('\0')) return null;
    try {
      const folder = await realpath(this.#folder);
      const file = await realpath(resolve(folder, path));
      const way = relative(folder, file);
      return way === '' || way.startsWith('..') || isAbsolute(way) ? null : file;
    } catch {
      return null;
    }
  }
}

export function isReferenceVoice(name: string): boolean {
  return name.startsWith(RECORDING_VOICE_PREFIX);
}
