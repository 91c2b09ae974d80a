const FRAME_SECONDS = 0.02;
/** Digital silence has no level; nothing that was recorded is below this. */
const LOWEST_DB = -100;
/** Part of the frames that are taken to be background: between words even quick speech has so many. */
const BACKGROUND_PART = 0.1;
/** Speech is as loud as the louder half of the frames above the background. */
const SPEECH_PART = 0.5;

/**
 * How far speech stands above what is heard between its sounds, in decibels: of the levels of frames of 20 ms, the louder
 * half against the quietest tenth. Steady sounds (fans, hiss, music under the voice) fill the gaps of speech and bring the
 * two together; a recording of nothing but noise has them a few decibels apart.
 */
export function measureSignalToNoise(samples: Float32Array, sampleRateHz: number): number {
  const frameSamples = Math.max(1, Math.round(sampleRateHz * FRAME_SECONDS));
  const levels: number[] = [];
  for (let start = 0; start + frameSamples <= samples.length; start += frameSamples) {
    let sum = 0;
    for (let i = start; i < start + frameSamples; i++) sum += samples[i]! * samples[i]!;
    levels.push(Math.max(LOWEST_DB, 10 * Math.log10(sum / frameSamples)));
  }
  if (levels.length === 0) return 0;
  levels.sort((a, b) => a - b);
  const floorDb = levels[Math.floor(levels.length * BACKGROUND_PART)] ?? LOWEST_DB;
  const louder = levels.slice(Math.floor(levels.length * SPEECH_PART));
  const power = louder.reduce((total, level) => total + 10 ** (level / 10), 0) / louder.length;
  return 10 * Math.log10(power) - floorDb;
}
