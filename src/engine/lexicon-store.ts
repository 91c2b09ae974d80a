import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.js';
import { type CompiledLexicon, compileLexicon, type LexiconProblem } from '../text/lexicon.js';
import { type LexiconFile, readLexiconFile } from '../text/lexicon-files.js';
import type { LexiconReference, SuppliedLexicon } from './engine-types.js';
import { readLexicon } from './lexicon-work.js';
import { checkName } from './model-store.js';
import { namesIn, SealedFiles } from './sealed-files.js';

export interface LexiconSummary {
  readonly name: string;
  /** From 1; a version never changes. */
  readonly version: number;
  readonly entries: number;
}

/** Lexicons compiled together, and a digest of all they say. */
export type LoadedLexicon = CompiledLexicon & { readonly digest: string };

/** The lexicon that applies to every request which names none, beside the one with the voice's own name. */
export const DEFAULT_LEXICON = 'default';

/** Compiled lexicons kept in memory; each is some hundred bytes an entry. */
const MOST_COMPILED = 32;

/**
 * Lexicons of a data folder: `lexicons/<name>/<version>.lexicon`, the file as it was imported, so that line numbers stay
 * true. A new version is a new file, found by the next request: nothing is restarted. Compiled once a version.
 */
export class LexiconStore {
  readonly #folder: string;
  readonly #files: SealedFiles;
  /** By names and versions; the least recently used is dropped first. */
  readonly #compiled = new Map<string, Promise<LoadedLexicon>>();

  constructor(dataDir: string, files: SealedFiles = new SealedFiles(null)) {
    this.#folder = join(dataDir, 'lexicons');
    this.#files = files;
    for (const name of namesIn(this.#folder)) {
      for (const version of this.#versions(name)) files.sealPlain(this.#path(name, version), nameOf(name, version));
    }
  }

  list(): LexiconSummary[] {
    if (!existsSync(this.#folder)) return [];
    return readdirSync(this.#folder)
      .sort()
      .flatMap((name) => {
        const version = this.#newest(name);
        return version === null ? [] : [{ name, version, entries: this.read({ name }).entries.length }];
      });
  }

  /**
   * Stores a CSV or PLS file as the next version of a lexicon. Entries that cannot be read make it fail with
   * LEXICON_INVALID, unless they are to be skipped.
   */
  async import(
    name: string,
    text: string,
    { skipInvalid = false }: { readonly skipInvalid?: boolean } = {},
  ): Promise<LexiconSummary & { readonly problems: readonly LexiconProblem[] }> {
    checkName('lexicon', name);
    const { entries, problems } = await readLexicon(text);
    if (problems.length > 0 && !skipInvalid) throw new AppError('LEXICON_INVALID', describeProblems(problems));
    const folder = join(this.#folder, name);
    mkdirSync(folder, { recursive: true });
    const version = (this.#newest(name) ?? 0) + 1;
    this.#files.write(this.#path(name, version), nameOf(name, version), Buffer.from(text));
    return { name, version, entries: entries.length, problems };
  }

  /** The entries of a lexicon. Throws LEXICON_NOT_FOUND. */
  read(reference: LexiconReference): LexiconFile & { readonly version: number } {
    const version = this.#versionOf(reference);
    const text = this.#files
      .read(this.#path(reference.name, version), nameOf(reference.name, version))
      .toString('utf8');
    return { version, ...readLexiconFile(text) };
  }

  remove(name: string): void {
    this.#versionOf({ name });
    rmSync(join(this.#folder, name), { recursive: true, force: true });
  }

  /** The lexicons that a request with this voice uses when it names none. */
  usualFor(voice: string | null): LexiconReference[] {
    const names = voice === null ? [DEFAULT_LEXICON] : [DEFAULT_LEXICON, voice];
    return names.filter((name) => this.#newest(name) !== null).map((name) => ({ name }));
  }

  /**
   * Lexicons ready for use, the later before the earlier ones and those that came with a request before those of the
   * folder; null where there is none. Throws LEXICON_NOT_FOUND, and LEXICON_NOT_LOADED where a supplied one has no text and
   * is not remembered.
   */
  async load(
    references: readonly LexiconReference[],
    supplied: readonly SuppliedLexicon[] = [],
  ): Promise<LoadedLexicon | null> {
    if (references.length + supplied.length === 0) return null;
    const exact = references.map((reference) => ({ name: reference.name, version: this.#versionOf(reference) }));
    // A lexicon that was removed and made anew counts its versions from 1 again.
    const key = [
      ...exact.map(({ name, version }) => `${name}@${version}:${statSync(this.#path(name, version)).mtimeMs}`),
      ...supplied.map(({ name, digest }) => `${name}:${digest}`),
    ].join(' ');
    const known = this.#compiled.get(key) ?? this.#compile(exact, supplied);
    this.#compiled.delete(key);
    this.#compiled.set(key, known);
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= MOST_COMPILED) break;
      this.#compiled.delete(oldest);
    }
    // Only this attempt: a later one may have brought the text.
    known.catch(() => this.#compiled.get(key) === known && this.#compiled.delete(key));
    return known;
  }

  async #compile(
    references: readonly Required<LexiconReference>[],
    supplied: readonly SuppliedLexicon[],
  ): Promise<LoadedLexicon> {
    const stored = references.map((reference) => ({
      name: `${reference.name}@${reference.version}`,
      entries: this.read(reference).entries,
    }));
    const sent = supplied.map(({ name, text }) => {
      if (text !== undefined) return { name, entries: readLexiconFile(text).entries };
      throw new AppError('LEXICON_NOT_LOADED', `lexicon "${name.slice(0, 80)}" was not sent to the engine`);
    });
    const sources = [...stored, ...sent];
    const { lexicon } = await compileLexicon(sources);
    const digest = createHash('sha256')
      .update(JSON.stringify(sources.map(({ entries }) => entries)))
      .digest('hex');
    return { ...lexicon, digest };
  }

  #path(name: string, version: number): string {
    return join(this.#folder, name, `${version}.lexicon`);
  }

  #versionOf({ name, version }: LexiconReference): number {
    const newest = this.#newest(name);
    if (newest === null) {
      const known = existsSync(this.#folder) ? readdirSync(this.#folder).slice(0, 20).join(', ') : '';
      const there = known === '' ? 'import one with: timbre lexicon import' : `there are: ${known}`;
      throw new AppError('LEXICON_NOT_FOUND', `there is no lexicon "${name.slice(0, 80)}"; ${there}`);
    }
    if (version === undefined) return newest;
    if (existsSync(this.#path(name, version))) return version;
    throw new AppError('LEXICON_NOT_FOUND', `lexicon "${name}" has no version ${version}; its newest is ${newest}`);
  }

  #versions(name: string): number[] {
    const found = namesIn(join(this.#folder, name)).map((file) => /^(\d{1,9})\.lexicon$/.exec(file)?.[1]);
    return found.flatMap((version) => (version === undefined ? [] : Number(version)));
  }

  #newest(name: string): number | null {
    try {
      checkName('lexicon', name);
      const newest = Math.max(0, ...this.#versions(name));
      return newest === 0 ? null : newest;
    } catch {
      // No such folder, or a name that no lexicon has.
      return null;
    }
  }
}

/** What a sealed file is bound to. */
function nameOf(name: string, version: number): string {
  return `lexicon ${name}@${version}`;
}

/** A message that names the lines. */
export function describeProblems(problems: readonly LexiconProblem[]): string {
  const shown = problems.slice(0, 20).map(({ line, message }) => `line ${line}: ${message}`);
  const more = problems.length > shown.length ? ` … and ${problems.length - shown.length} more` : '';
  return `the lexicon has ${problems.length} entries that cannot be used: ${shown.join('; ')}${more}`;
}
