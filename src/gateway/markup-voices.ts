/** Voices that one document may change to. */
const MOST_VOICES = 16;

/** The names in `<voice name="…">` of a document, each once; read again, and for good, by the engine's own parser. */
export function voicesIn(document: string): string[] {
  const names = [
    ...document.matchAll(/<voice\s(?:[^<>]{0,200}\s)?name\s{0,9}=\s{0,9}(?:"([^"<>]{1,64})"|'([^'<>]{1,64})')/g),
  ];
  return [...new Set(names.map(([, double, single]) => double ?? single ?? ''))].slice(0, MOST_VOICES);
}
