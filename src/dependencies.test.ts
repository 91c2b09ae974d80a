import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const REPOSITORY = new URL('../', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, REPOSITORY), 'utf8');
const lock: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(read('package-lock.json'));
// The first is this package itself.
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

const PERMISSIVE = /^(MIT|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0)$/;
/** NOTICE says what they are and who uses them. */
const EXCEPTIONS: ReadonlySet<string> = new Set(['node_modules/codec-parser']);

describe('what npm ci installs', () => {
  it('comes from the registry, as the bytes that were locked', () => {
    // Where nothing is said, npm asks the registry that is configured.
    const others = packages.filter(
      ([, { resolved, integrity }]) => resolved !== undefined || !integrity?.startsWith('sha512-'),
    );
    expect(others).toEqual([]);
  });

  it('is all there that packages ask for', () => {
    // vite 8.4.0 names an optional package that the registry did not have: npm install left it out of the lock file, and npm
    // ci refuses such a file.
    const isLocked = (path: string, name: string): boolean =>
      `${path}node_modules/${name}` in lock.packages ||
      (path !== '' && isLocked(path.slice(0, path.lastIndexOf('node_modules/')), name));
    const missing = packages.flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !isLocked(`${path}/`, name))
        .map((name) => `${path} asks for ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('runs no script of a package', () => {
    expect(read('.npmrc').split('\n')).toContain('ignore-scripts=true');
  });

  it('is under a permissive licence where it is part of what runs', () => {
    const others = packages.filter(
      ([path, { dev, license = '' }]) =>
        !dev && !EXCEPTIONS.has(path) && !license.split(/[()]| OR /).some((choice) => PERMISSIVE.test(choice)),
    );
    expect(others).toEqual([]);
    for (const path of EXCEPTIONS) expect(read('NOTICE')).toContain(path);
  });
});
