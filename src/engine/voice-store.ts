import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import { BoundedCache, type CacheStatistics } from './bounded-cache.js';
import { DEFAULT_CACHE_BYTES, type VoiceSummary } from './engine-types.js';
import { checkName } from './model-store.js';
import { namesIn, SealedFiles } from './sealed-files.js';
import { decodeVoiceProfile, encodeVoiceProfile, type VoiceProfile } from './voice-profile.js';

const SUFFIX = '.voice.safetensors';

/** Voices of a data folder: one file each, `voices/<name>.voice.safetensors`; those in use are kept in memory. */
export class VoiceStore {
  readonly #folder: string;
  readonly #files: SealedFiles;
  /** By name and what the file system says of the file: a voice that another process replaces is read anew. */
  readonly #loaded: BoundedCache<VoiceProfile>;

  constructor(
    dataDir: string,
    cacheBytes: number = DEFAULT_CACHE_BYTES.voices,
    files: SealedFiles = new SealedFiles(null),
  ) {
    this.#folder = join(dataDir, 'voices');
    this.#files = files;
    this.#loaded = new BoundedCache(cacheBytes);
    mkdirSync(this.#folder, { recursive: true });
    for (const name of this.names()) files.sealPlain(this.#path(name), nameOf(name));
  }

  get statistics(): CacheStatistics {
    return this.#loaded.statistics;
  }

  has(name: string): boolean {
    checkName('voice', name);
    return existsSync(this.#path(name));
  }

  names(): string[] {
    return namesIn(this.#folder)
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length))
      .sort();
  }

  /** Throws `VOICE_NOT_FOUND` naming the voices there are, `VOICE_INVALID`, `VAULT_CORRUPT` for a damaged file. */
  async load(name: string): Promise<VoiceProfile> {
    // The file is looked for each time: another process may have removed or replaced the voice.
    const file = this.#exists(name) ? statSync(this.#path(name), { throwIfNoEntry: false }) : undefined;
    if (file) {
      const key = [name, file.ino, file.size, file.mtimeMs].join('\0');
      const loaded = this.#loaded.get(key);
      if (loaded) return loaded;
      const bytes = this.#files.read(this.#path(name), nameOf(name));
      const profile = decodeVoiceProfile(bytes, `file ${name}${SUFFIX}`);
      this.#loaded.set(key, profile, file.size);
      return profile;
    }
    const known = this.names();
    const shown = known.slice(0, 20).join(', ') + (known.length > 20 ? ', …' : '');
    throw new AppError(
      'VOICE_NOT_FOUND',
      `there is no voice "${name.slice(0, 80)}"; ${known.length > 0 ? `there are: ${shown}` : 'enrol one with: timbre voice add'}`,
    );
  }

  /** Throws `VOICE_EXISTS` unless `replace`. */
  async save(profile: VoiceProfile, replace: boolean): Promise<void> {
    this.checkFree(profile.name, replace);
    this.#files.write(this.#path(profile.name), nameOf(profile.name), await encodeVoiceProfile(profile));
  }

  checkFree(name: string, replace: boolean): void {
    if (!this.has(name) || replace) return;
    throw new AppError('VOICE_EXISTS', `there is a voice "${name}" already; choose another name, or replace it`);
  }

  async remove(name: string): Promise<void> {
    await this.load(name);
    rmSync(this.#path(name), { force: true });
  }

  #exists(name: string): boolean {
    try {
      return this.has(name);
    } catch {
      // What cannot be a voice's name is not a voice.
      return false;
    }
  }

  #path(name: string): string {
    return join(this.#folder, `${name}${SUFFIX}`);
  }
}

/** What a sealed file is bound to. */
function nameOf(name: string): string {
  return `voice ${name}`;
}

/** What callers see of a voice. */
export function voiceSummary(profile: VoiceProfile): VoiceSummary {
  return {
    name: profile.name,
    language: profile.language,
    transcript: profile.transcript,
    model: profile.model,
    durationMs: profile.recordings.reduce((sum, recording) => sum + recording.durationMs, 0),
    createdAt: profile.createdAt,
    warnings: profile.warnings,
  };
}
