import type { ManifestCase } from './reference.js';

/** Versions whose waveform comes of flow matching and a vocoder; their cases belong to a later version set. */
const LATER = /^v[34](_|$)/;

/** Whether a case concerns v1, v2, v2Pro or v2ProPlus, or no version at all; the others are neither run nor failed. */
export function isOfThisVersionSet(testCase: ManifestCase): boolean {
  const [family = '', rest = ''] = testCase.name.split('/');
  const version = testCase.params?.['version'];
  if (typeof version === 'string') return !LATER.test(version);
  return family !== 'vocoder' && !LATER.test(rest);
}
