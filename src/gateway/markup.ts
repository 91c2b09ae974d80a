/** A comment, the borders of a CDATA section, a declaration, a tag with what stands in its quotation marks. */
const MARKUP = /<!--[\s\S]*?-->|<!\[CDATA\[|\]\]>|<\?[\s\S]*?\?>|<(?:"[^"]*"|'[^']*'|[^>"'])*>/g;
/** Elements whose text is never said (text/ssml.ts). */
const PASSED_OVER = /^<(meta|metadata|desc|lexicon|mstts:viseme|mstts:silence|mstts:backgroundaudio)[\s>]/;

/**
 * Which UTF-16 units of a well-formed SSML document are markup (1) and which are text (0), entities included: markup has no
 * time of its own. What is not well-formed was refused before anything is heard.
 */
export function markupOf(document: string): Uint8Array {
  const markup = new Uint8Array(document.length);
  let inSection = false;
  /** Behind what is passed over. */
  let passed = 0;
  for (const { 0: found, index } of document.matchAll(MARKUP)) {
    if (index < passed) continue;
    // In a CDATA section only its end is markup, elsewhere that is text.
    if (found === ']]>' ? !inSection : inSection) continue;
    if (found === ']]>') inSection = false;
    if (found === '<![CDATA[') inSection = true;
    let end = index + found.length;
    const name = found.endsWith('/>') ? undefined : PASSED_OVER.exec(found)?.[1];
    if (name !== undefined) {
      const close = document.indexOf(`</${name}`, end);
      if (close >= 0) end = document.indexOf('>', close) + 1;
    }
    markup.fill(1, index, end);
    passed = end;
  }
  return markup;
}
