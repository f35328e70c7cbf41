import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { FileService, TenantRepository, TenantService } from '@coffer/files-db';
import { StorageService } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { runFolder } from './run-folder.ts';

const services = { '@coffer/storage-core': [StorageService], '@coffer/files-db': [FileService, TenantRepository, TenantService] };

/** A method passed on is what needs a name for each type of its signature. */
function passesOn(name: string, type: object): string[] {
  const base = Object.getPrototypeOf(type) as object | null;
  if (base === null) return []; // what all objects have
  const own = Object.entries(Object.getOwnPropertyDescriptors(type)).filter(([method, { value }]) => method !== 'constructor' && value);
  return [...passesOn(name, base), ...own.map(([method]) => `export const ${name}_${method} = (it: ${name}) => it.${method}.bind(it);`)];
}

it('every method of a service can be passed on by a library, which declares its own types', async () => {
  const folder = await runFolder();
  onTestFinished(() => rm(folder, { recursive: true }));
  const lines = Object.entries(services).flatMap(([module, types]) => [
    `import type { ${types.map(({ name }) => name).join(', ')} } from '${module}';`,
    ...types.flatMap(({ name, prototype }) => passesOn(name, prototype)),
  ]);
  await writeFile(join(folder, 'library.ts'), lines.join('\n'));
  const compilerOptions = { customConditions: ['@coffer/source'], allowImportingTsExtensions: true, noEmit: true };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ extends: '@coffer/tsconfig/base.json', compilerOptions }));
  const tsc = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')));
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => error);
  expect(stdout).toBe('');
});
