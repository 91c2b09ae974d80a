import { AppError, type ErrorCode } from '../errors.js';
import { SourceText } from './source-text.js';

/** An element of a parsed document; offsets are UTF-16 units of the document. */
export interface XmlElement {
  readonly type: 'element';
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlNode[];
  /** From `<` of the start tag to behind the end tag. */
  readonly start: number;
  readonly end: number;
}

export type XmlNode = XmlElement | { readonly type: 'text'; readonly text: SourceText };

/** What a document may hold at most; more of any is an error, not a slow answer. */
export const XML_LIMITS = { depth: 24, elements: 100_000, attributes: 16, nameLength: 64, valueLength: 2000 } as const;

/** What kind of document is read: its name and outermost element for messages, and the code of its errors. */
export interface XmlKind {
  readonly name: string;
  readonly root: string;
  readonly code: ErrorCode;
}

export const SSML: XmlKind = { name: 'SSML', root: 'speak', code: 'SSML_INVALID' };
export const PLS: XmlKind = { name: 'PLS', root: 'lexicon', code: 'LEXICON_INVALID' };

/**
 * Parses a document: elements, attributes, text, the five predefined entities and numeric character references, CDATA,
 * comments, and an XML declaration in front. Nothing else of XML: no document type, so no entities to expand and nothing
 * to fetch, and no processing instructions. One pass, linear in the document.
 *
 * Throws the kind's error with line, column and what was expected there.
 */
export function parseXml(document: string, kind: XmlKind): XmlElement {
  return new Parser(document, kind).document();
}

/** The error of a document at a place, for the readers of its elements too. */
export function xmlError(document: string, at: number, message: string, kind: XmlKind): AppError {
  const { line, column } = placeOf(document, at);
  return new AppError(kind.code, `${kind.name} line ${line}, column ${column}: ${message}`);
}

/** Line and column, from 1; columns count characters. */
export function placeOf(document: string, at: number): { readonly line: number; readonly column: number } {
  const before = document.slice(0, at).split(/\r\n?|\n/);
  return { line: before.length, column: [...(before.at(-1) ?? '')].length + 1 };
}

const NAME = /[A-Za-z_][\w.:-]*/y;
const SPACE = /[ \t\r\n]*/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface Open {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlNode[];
  readonly start: number;
}

class Parser {
  readonly #text: string;
  #at = 0;
  #elements = 0;

  readonly #kind: XmlKind;

  constructor(text: string, kind: XmlKind) {
    this.#text = text;
    this.#kind = kind;
  }

  document(): XmlElement {
    if (this.#text.startsWith('\ufeff')) this.#at = 1;
    if (this.#next('<?xml')) this.#skipTo('?>', 'the XML declaration');
    const open: Open[] = [];
    let root: XmlElement | undefined;
    while (this.#at < this.#text.length) {
      const parent = open.at(-1);
      const start = this.#at;
      if (this.#text[start] !== '<') {
        const text = this.#characters();
        if (parent !== undefined) parent.children.push({ type: 'text', text });
        else if (text.text.trim() !== '')
          this.#fail(start, `text stands outside <${this.#kind.root}>; put all of it inside`);
      } else if (this.#next('<!--')) {
        this.#skipTo('-->', 'the comment');
      } else if (this.#next('<![CDATA[')) {
        const from = this.#at;
        this.#skipTo(']]>', 'the CDATA section');
        if (parent === undefined) this.#fail(start, `text stands outside <${this.#kind.root}>; put all of it inside`);
        parent.children.push({ type: 'text', text: SourceText.of(this.#text.slice(from, this.#at - 3), from) });
      } else if (this.#text.startsWith('<!', start)) {
        this.#fail(start, 'document types and entity declarations are not accepted; remove "<!…>"');
      } else if (this.#text.startsWith('<?', start)) {
        this.#fail(start, 'processing instructions are not accepted; remove "<?…?>"');
      } else if (this.#next('</')) {
        const name = this.#name('the name of the element that ends here');
        this.#space();
        this.#expect('>', `">" behind "</${name}"`);
        const ended = open.pop();
        if (ended === undefined || ended.name !== name) {
          const wanted = ended === undefined ? 'no element is open' : `expected </${ended.name}>`;
          this.#fail(start, `</${name}> ends nothing: ${wanted}`);
        }
        const element: XmlElement = { type: 'element', ...ended, end: this.#at };
        const outer = open.at(-1);
        if (outer) outer.children.push(element);
        else root = element;
      } else {
        if (root !== undefined)
          this.#fail(start, `only one element may stand at the top; everything goes inside one <${this.#kind.root}>`);
        this.#at++;
        const name = this.#name('the name of an element; write "&lt;" for the sign itself');
        if (++this.#elements > XML_LIMITS.elements) this.#fail(start, `more than ${XML_LIMITS.elements} elements`);
        const attributes = this.#attributes(name);
        if (this.#next('/>')) {
          const element: XmlElement = { type: 'element', name, attributes, children: [], start, end: this.#at };
          if (parent) parent.children.push(element);
          else root = element;
          continue;
        }
        this.#expect('>', `">" or an attribute in <${name}>`);
        open.push({ name, attributes, children: [], start });
        if (open.length > XML_LIMITS.depth) this.#fail(start, `elements are nested more than ${XML_LIMITS.depth} deep`);
      }
    }
    const unclosed = open.at(-1);
    if (unclosed) this.#fail(unclosed.start, `<${unclosed.name}> is never closed; expected </${unclosed.name}>`);
    if (root === undefined)
      this.#fail(0, `there is no <${this.#kind.root}> element; expected <${this.#kind.root}>…</${this.#kind.root}>`);
    if (root.name !== this.#kind.root)
      this.#fail(root.start, `expected <${this.#kind.root}> instead of <${root.name}>`);
    return root;
  }

  #characters(): SourceText {
    const start = this.#at;
    const end = this.#text.indexOf('<', start);
    this.#at = end < 0 ? this.#text.length : end;
    return this.#decoded(start, this.#at);
  }

  /** A stretch with its references replaced. */
  #decoded(start: number, end: number): SourceText {
    return SourceText.of(this.#text.slice(start, end), start).replace(
      /&([^;&<\s]{0,12})(;?)/g,
      (_, name, semicolon, at) => {
        const place = start + (at as number);
        if (semicolon === '') this.#fail(place, '"&" begins an entity; write "&amp;" for the sign itself');
        const known = ENTITIES[name as string];
        if (known !== undefined) return known;
        const code = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name as string);
        if (code === null)
          this.#fail(place, `unknown entity "&${name};"; expected lt, gt, amp, quot, apos or a number such as &#8212;`);
        const value = code[1] !== undefined ? Number.parseInt(code[1], 16) : Number(code[2]);
        if (!isXmlCharacter(value)) this.#fail(place, `"&${name};" is not a character`);
        return String.fromCodePoint(value);
      },
    );
  }

  #attributes(element: string): ReadonlyMap<string, string> {
    const attributes = new Map<string, string>();
    for (;;) {
      const before = this.#at;
      this.#space();
      const character = this.#text[this.#at];
      if (character === undefined || character === '>' || character === '/') return attributes;
      const start = this.#at;
      if (start === before) this.#fail(start, `expected ">" or a blank and an attribute in <${element}>`);
      const name = this.#name(`the name of an attribute of <${element}>`);
      this.#space();
      this.#expect('=', `"=" behind the attribute ${name}`);
      this.#space();
      const quote = this.#text[this.#at];
      if (quote !== '"' && quote !== "'") this.#fail(this.#at, `the value of ${name} must stand in quotation marks`);
      const from = this.#at + 1;
      const to = this.#text.indexOf(quote, from);
      if (to < 0) this.#fail(this.#at, `the value of ${name} is never closed; expected ${quote}`);
      if (to - from > XML_LIMITS.valueLength) {
        this.#fail(from, `the value of ${name} is longer than ${XML_LIMITS.valueLength} characters`);
      }
      const bracket = this.#text.slice(from, to).indexOf('<');
      if (bracket >= 0) this.#fail(from + bracket, `"<" in the value of ${name}; write "&lt;" for the sign itself`);
      if (attributes.has(name)) this.#fail(start, `<${element}> has two attributes ${name}`);
      attributes.set(name, this.#decoded(from, to).text);
      if (attributes.size > XML_LIMITS.attributes) {
        this.#fail(start, `<${element}> has more than ${XML_LIMITS.attributes} attributes`);
      }
      this.#at = to + 1;
    }
  }

  #name(expected: string): string {
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0];
    if (name === undefined) this.#fail(this.#at, `expected ${expected}`);
    if (name.length > XML_LIMITS.nameLength)
      this.#fail(this.#at, `a name is longer than ${XML_LIMITS.nameLength} characters`);
    this.#at += name.length;
    return name;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  /** Goes past `mark` if it stands here. */
  #next(mark: string): boolean {
    if (!this.#text.startsWith(mark, this.#at)) return false;
    this.#at += mark.length;
    return true;
  }

  #expect(mark: string, expected: string): void {
    if (!this.#next(mark)) this.#fail(this.#at, `expected ${expected}`);
  }

  #skipTo(mark: string, what: string): void {
    const end = this.#text.indexOf(mark, this.#at);
    if (end < 0) this.#fail(this.#at, `${what} is never closed; expected "${mark}"`);
    this.#at = end + mark.length;
  }

  #fail(at: number, message: string): never {
    throw xmlError(this.#text, at, message, this.#kind);
  }
}

/** https://www.w3.org/TR/xml/#charsets */
function isXmlCharacter(code: number): boolean {
  return (
    code === 9 ||
    code === 10 ||
    code === 13 ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x10000 && code <= 0x10ffff)
  );
}
