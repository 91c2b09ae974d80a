import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
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
