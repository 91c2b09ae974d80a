import { createHash } from 'node:crypto';
import { AppError } from '../errors.js';
import { BoundedCache, type CacheStatistics } from './bounded-cache.js';
import type { SuppliedProfile } from './engine-types.js';
import { decodeVoiceProfile, type VoiceProfile } from './voice-profile.js';

/**
 * Profiles that came with requests, by digest: whoever keeps them sends the bytes once, and the digest while they are
 * remembered. Equal digests are equal bytes, so nothing here needs to know whose they are.
 */
export class SuppliedProfiles {
  readonly #known: BoundedCache<VoiceProfile>;

  constructor(maxBytes: number) {
    this.#known = new BoundedCache(maxBytes);
  }

  get statistics(): CacheStatistics {
    return this.#known.statistics;
  }

  /** Throws `VOICE_NOT_LOADED` for an unknown digest without bytes, `VOICE_INVALID` for bytes that are not the digest's. */
  take(name: string, { digest, bytes }: SuppliedProfile): VoiceProfile {
    const known = this.#known.get(digest);
    if (known !== undefined) return known;
    if (bytes === undefined) {
      throw new AppError('VOICE_NOT_LOADED', `the profile of voice "${name.slice(0, 80)}" was not sent to the engine`);
    }
    if (digestOf(bytes) !== digest) {
      throw new AppError('VOICE_INVALID', `the profile of voice "${name.slice(0, 80)}" is not the one that was meant`);
    }
    const profile = decodeVoiceProfile(bytes, name);
    this.#known.set(digest, profile, bytes.length);
    return profile;
  }
}

/** SHA-256, lower-case hex. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
