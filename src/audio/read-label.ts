import type { AigcLabel } from './label.js';

/** Metadata is at the beginning or the end of a file; this much of each is looked at. */
const REACH_BYTES = 256 * 1024;
const KEY = 'AIGC';
const MAX_LABEL_BYTES = 16 * 1024;

/**
 * The `AIGC` label in a file's metadata, ours or another maker's, or null. It is looked for by what every container
 * writes of it (the key, then the JSON object), so that a container we do not know does not hide it.
 */
export function readAigcLabel(bytes: Uint8Array): Partial<AigcLabel> | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stretches = [
    buffer.subarray(0, REACH_BYTES),
    buffer.subarray(Math.max(REACH_BYTES, buffer.length - REACH_BYTES)),
  ];
  for (const stretch of stretches) {
    for (let at = stretch.indexOf(KEY); at >= 0; at = stretch.indexOf(KEY, at + 1)) {
      // Between key and value: `=`, a zero, or the length of a RIFF chunk.
      const open = stretch.indexOf('{', at + KEY.length);
      if (open < 0 || open - at - KEY.length > 8) continue;
      const close = stretch.indexOf('}', open);
      if (close < 0 || close - open > MAX_LABEL_BYTES) continue;
      const label = parseLabel(stretch.subarray(open, close + 1).toString('utf8'));
      if (label !== null) return label;
    }
  }
  return null;
}

const FIELDS = [
  'Label',
  'ContentProducer',
  'ProduceID',
  'ReservedCode1',
  'ContentPropagator',
  'PropagateID',
  'ReservedCode2',
];

function parseLabel(text: string): Partial<AigcLabel> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('Label' in value)) return null;
  const known = Object.entries(value).filter(([name, field]) => FIELDS.includes(name) && typeof field === 'string');
  return Object.fromEntries(known);
}
