const OPEN_SECTION = '<![CDATA[';
const CLOSE_SECTION = ']]>';
/** Elements whose text is never said (text/ssml.ts). */
const PASSED_OVER = /^<(meta|metadata|desc|lexicon|mstts:viseme|mstts:silence|mstts:backgroundaudio)[\s>]/;

/**
 * Which UTF-16 units of a well-formed SSML document are markup (1) and which are text (0), entities included: markup has no
 * time of its own. What is not well-formed was refused before anything is heard.
 */
export function markupOf(document: string): Uint8Array {
  const markup = new Uint8Array(document.length);
  for (let start = document.indexOf('<'); start >= 0; ) {
    let end: number;
    if (document.startsWith(OPEN_SECTION, start)) {
      markup.fill(1, start, start + OPEN_SECTION.length);
      start = document.indexOf(CLOSE_SECTION, start);
      end = start + CLOSE_SECTION.length;
    } else end = endOfElement(document, start);
    // Without an end it is not well-formed.
    if (start < 0 || end < start) break;
    markup.fill(1, start, end);
    start = document.indexOf('<', end);
  }
  return markup;
}

/** The place behind a comment, a declaration, a tag, or all of an element that is passed over; below `start` where it has no end. */
function endOfElement(document: string, start: number): number {
  if (document.startsWith('<!--', start)) return behind(document, '-->', start + 4);
  if (document.startsWith('<?', start)) return behind(document, '?>', start);
  const end = endOfTag(document, start);
  // The longest of the names and a character behind it.
  const name = document[end - 2] === '/' ? undefined : PASSED_OVER.exec(document.slice(start, start + 32))?.[1];
  if (name === undefined) return end;
  for (let close = document.indexOf(`</${name}`, end); close >= 0; close = document.indexOf(`</${name}`, close + 1)) {
    const next = document[close + 2 + name.length] ?? '';
    // Not that of `metadata` for `meta`.
    if (next === '>' || next.trim() === '') return behind(document, '>', close);
  }
  return end;
}

/** The place behind a tag, whose quotation marks may hold `>`. */
function endOfTag(document: string, start: number): number {
  let quote = '';
  for (let at = start; at < document.length; at++) {
    const character = document[at] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '>') return at + 1;
  }
  return -1;
}

function behind(document: string, mark: string, from: number): number {
  const found = document.indexOf(mark, from);
  return found < 0 ? -1 : found + mark.length;
}
