/**
 * The audible form of the label (GB 45438-2025): the rhythm short-long-short-short, which is "AI" in Morse code, as soft
 * beeps, before or after the speech.
 */
export function audibleCue(sampleRateHz: number): Float32Array {
  const pieces: [seconds: number, on: boolean][] = [
    [DOT_SECONDS, true],
    [DOT_SECONDS, false],
    [3 * DOT_SECONDS, true],
    [3 * DOT_SECONDS, false],
    [DOT_SECONDS, true],
    [DOT_SECONDS, false],
    [DOT_SECONDS, true],
    [3 * DOT_SECONDS, false],
  ];
  const lengths = pieces.map(([seconds]) => Math.round(seconds * sampleRateHz));
  const out = new Float32Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  pieces.forEach(([, on], index) => {
    const length = lengths[index] ?? 0;
    if (on) {
      const ramp = RAMP_SECONDS * sampleRateHz;
      for (let i = 0; i < length; i++) {
        const envelope = Math.min(1, i / ramp, (length - i) / ramp);
        out[at + i] = LEVEL * envelope * Math.sin((2 * Math.PI * PITCH_HZ * i) / sampleRateHz);
      }
    }
    at += length;
  });
  return out;
}

const DOT_SECONDS = 0.07;
const RAMP_SECONDS = 0.008;
const PITCH_HZ = 880;
const LEVEL = 0.12;
