import { existsSync } from 'node:fs';
import nodeModule from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { requireFrom, thisModule } from './require-from.ts';

type Module = Readonly<Record<string, unknown>>;

/**
 * Imports a module as a file in `directory` would; a package that is not installed there, as this package would.
 * @param name a package name, a path or a file URL
 * @returns undefined when there is no such module; rejects when it exists but does not load
 */
export async function importFrom(directory: string, name: string): Promise<Module | undefined> {
  const base = join(directory, 'package.json');
  if (/^(?:\.{0,2}\/|file:)/.test(name)) {
    const url = name.startsWith('file:') ? name : locate(base, name);
    return url !== undefined && existsSync(new URL(url)) ? ((await import(url)) as Module) : undefined;
  }

  const requiredUrl = locate(base, name);
  if (!('registerHooks' in nodeModule)) {
    const url = requiredUrl ?? locate(thisModule, name);
    return url === undefined ? undefined : ((await import(url)) as Module);
  }
  // `import.meta.resolve` accepts no other parent, and `require.resolve` does not see what a package exports only for `import`.
  const parentURL = pathToFileURL(base).href;
  let found = false;
  const hooks = nodeModule.registerHooks({
    resolve(specifier, context, next) {
      if (found || specifier !== name) return next(specifier, context);
      const resolved =
        attempt(() => next(name, { ...context, parentURL })) ??
        (requiredUrl === undefined ? undefined : attempt(() => next(requiredUrl, context))) ??
        next(name, context);
      found = true;
      return resolved;
    },
  });
  try {
    return (await import(name)) as Module;
  } catch (error) {
    if (!found && (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  } finally {
    hooks.deregister();
  }
}

/** Whether `importFrom` would find such a module, without running any of it. */
export function isInstalled(directory: string, name: string): boolean {
  if (name.startsWith('file:')) return existsSync(new URL(name));
  return [join(directory, 'package.json'), thisModule].some((base) => {
    try {
      resolve(base, name);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND'; // found, but exported only for `import`
    }
  });
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function locate(base: string, name: string): string | undefined {
  return attempt(() => pathToFileURL(resolve(base, name)).href);
}

/** Bun has no hooks, but it can resolve, from a folder, what is exported only for `import`. */
const { Bun: bun } = globalThis as { readonly Bun?: { resolveSync(name: string, folder: string): string } };

function resolve(base: string, name: string): string {
  return bun === undefined
    ? requireFrom(base).resolve(name)
    : bun.resolveSync(name, dirname(base.startsWith('file:') ? fileURLToPath(base) : base));
}
