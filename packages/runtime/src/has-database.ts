import { access } from 'node:fs/promises';
import { join } from 'node:path';

import type { Config } from './config.ts';

/**
 * Whether `createRuntime` would find a database instead of creating the data directory's first one. One that cannot be looked at counts:
 * `createRuntime` then says why.
 */
export async function hasDatabase({ database, dataDir }: Pick<Config, 'database' | 'dataDir'>): Promise<boolean> {
  if (database.url !== undefined) return true;
  return access(join(dataDir, 'postgres', 'data', 'PG_VERSION')).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  );
}
