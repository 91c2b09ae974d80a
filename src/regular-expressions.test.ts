import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { analyse } from 'scslre';
import { SyntaxKind } from 'typescript/unstable/ast';
import { createScanner } from 'typescript/unstable/ast/scanner';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('.', import.meta.url));

interface Pattern {
  readonly place: string;
  readonly source: string;
  readonly flags: string;
}

/** Whoever sends a text must not be able to send one that takes quadratic time: linear-time.test.ts tries, this proves. */
describe('a regular expression', () => {
  it('of the sources takes time in proportion to its text, wherever a match may begin', () => {
    const patterns = sourceFiles(SRC).flatMap((path) => literalsOf(path));
    expect(patterns.length).toBeGreaterThan(900);
    expect(patterns.flatMap(slowness)).toEqual([]);
  });

  it('that the front ends put together when they are loaded does so too', async () => {
    const Native = RegExp;
    const patterns: Pattern[] = [];
    globalThis.RegExp = new Proxy(Native, {
      construct(target, [source, flags]: [string | RegExp, string | undefined]) {
        const made = new target(source, flags);
        patterns.push({ place: `new RegExp(${made})`, source: made.source, flags: made.flags });
        return made;
      },
    });
    try {
      for (const path of sourceFiles(join(SRC, 'text'))) await import(pathToFileURL(path).href);
    } finally {
      globalThis.RegExp = Native;
    }
    expect(patterns.length).toBeGreaterThan(60);
    expect(patterns.flatMap(slowness)).toEqual([]);
  });

  it('that is slow would be found', () => {
    for (const source of ['(a+)+b', 'a*a*b', '\\s+$', '(?:x|x)*y']) {
      expect(slowness({ place: '', source, flags: '' })).toHaveLength(1);
    }
  });
});

function slowness({ place, source, flags }: Pattern): string[] {
  const { reports } = analyse({ source, flags });
  return reports.length === 0 ? [] : [`${place}: ${reports.map(({ type }) => type).join(', ')} in /${source}/${flags}`];
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return /(?<!\.test|\.d)\.ts$/.test(entry.name) ? [path] : [];
  });
}

/** The literals of a file, found as the compiler finds them: after what ends an expression a slash divides. */
function literalsOf(path: string): Pattern[] {
  const text = readFileSync(path, 'utf8');
  const scanner = createScanner(true);
  scanner.setText(text);
  const found: Pattern[] = [];
  const braces: ('block' | 'template')[] = [];
  let before: SyntaxKind | null = null;
  for (let token = scanner.scan(); token !== SyntaxKind.EndOfFile; token = scanner.scan()) {
    if (token === SyntaxKind.TemplateHead) braces.push('template');
    else if (token === SyntaxKind.OpenBraceToken) braces.push('block');
    else if (token === SyntaxKind.CloseBraceToken) {
      if (braces.at(-1) === 'template') token = scanner.reScanTemplateToken(false);
      if (token !== SyntaxKind.TemplateMiddle) braces.pop();
    } else if (
      (token === SyntaxKind.SlashToken || token === SyntaxKind.SlashEqualsToken) &&
      (before === null || !ENDS_EXPRESSION.has(before))
    ) {
      token = scanner.reScanSlashToken();
      const literal = scanner.getTokenText();
      const end = literal.lastIndexOf('/');
      const place = `${path.slice(SRC.length)}:${text.slice(0, scanner.getTokenStart()).split('\n').length}`;
      const pattern = { place, source: literal.slice(1, end), flags: literal.slice(end + 1) };
      // What is no pattern was a division: better to fail than to pass a file over.
      new RegExp(pattern.source, pattern.flags);
      found.push(pattern);
    }
    before = token;
  }
  return found;
}

const ENDS_EXPRESSION: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.Identifier,
  SyntaxKind.PrivateIdentifier,
  SyntaxKind.NumericLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.BigIntLiteral,
  SyntaxKind.RegularExpressionLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateTail,
  SyntaxKind.CloseParenToken,
  SyntaxKind.CloseBracketToken,
  SyntaxKind.CloseBraceToken,
  SyntaxKind.ThisKeyword,
  SyntaxKind.PlusPlusToken,
  SyntaxKind.MinusMinusToken,
  SyntaxKind.ExclamationToken,
]);
