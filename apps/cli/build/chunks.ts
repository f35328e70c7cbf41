import { resolve } from 'node:path';

import type { ChunkingContext, CodeSplittingNameFunction } from 'rolldown';

import { isNodeWhenUsed } from './node-when-used.ts';

// Each file adds about half a millisecond to a start, so modules that are loaded together share one. A chunk holds what its roots
// import, except for what an earlier chunk already has; what is imported on demand stays a chunk of its own.
const roots = {
  base: ['src/main.ts', 'src/base-command.ts', 'src/flags.ts', 'src/render/json-document.ts', 'src/bulk/young-generation.ts'],
  runtime: ['../../packages/storage-core/src/index.ts', '../../packages/runtime/src/index.ts'],
  s3: ['../../packages/backend-s3/src/index.ts'],
  local: ['../../packages/backend-local/src/index.ts'],
  bulk: ['src/bulk-command.ts', 'src/services/upload.ts', 'src/services/download.ts', 'src/services/delete.ts'],
};

/**
 * For rolldown: the name of the chunk that a module belongs to; null where rolldown decides itself.
 * @param here the folder of this package
 */
export function chunkOf(here: string): CodeSplittingNameFunction {
  let chunks: ReadonlyMap<string, string> | undefined;
  // Wrappers of Node's modules are a few lines each, and nearly every chunk needs some.
  return (id, context) => (isNodeWhenUsed(id) ? 'base' : ((chunks ??= chunksOfModules(here, context)).get(id) ?? null));
}

function chunksOfModules(here: string, context: ChunkingContext): ReadonlyMap<string, string> {
  const chunks = new Map<string, string>();
  const assign = (id: string, name: string): void => {
    const module = context.getModuleInfo(id);
    if (module === null || isNodeWhenUsed(id) || chunks.has(id)) return;
    chunks.set(id, name);
    for (const imported of module.importedIds) assign(imported, name);
  };
  for (const [name, files] of Object.entries(roots)) {
    for (const file of files) {
      const id = resolve(here, file);
      if (context.getModuleInfo(id) === null) throw new Error(`${file}, a root of the chunk "${name}", is not in the bundle.`);
      assign(id, name);
    }
  }
  // Entries stay files of their own: they find files of the package relative to their own path.
  for (const id of chunks.keys()) if (context.getModuleInfo(id)?.isEntry === true) chunks.delete(id);
  return chunks;
}
