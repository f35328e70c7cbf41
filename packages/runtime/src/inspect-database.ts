import type { Config } from './config.ts';
import { hasDatabase } from './has-database.ts';
import { openWith } from './open-database.ts';
import type { OpenDatabaseOptions } from './open-database.ts';
import { openTenants } from './open-tenants.ts';

/** What `inspectDatabase` found. */
export interface DatabaseReport {
  readonly kind: 'embedded' | 'external';
  /** As the server reports it, such as `18.1`. */
  readonly version: string;
  /** Whether it takes no writes: a standby, or a server with read-only transactions. */
  readonly readOnly: boolean;
  /** What the next start would do to the tables; empty when they are up to date. */
  readonly pendingMigrations: readonly string[];
}

/**
 * Looks at the configured database without changing anything in it; undefined for an embedded one that was never created. A stopped
 * embedded one runs meanwhile.
 * @throws ConfigError when a tenant has the default or the shared bucket, StartupError, the reason of `signal`
 */
export async function inspectDatabase(config: Config, options: OpenDatabaseOptions = {}): Promise<DatabaseReport | undefined> {
  if (!(await hasDatabase(config))) return undefined;
  const { onDatabase, pendingMigrations } = await import('@coffer/files-db');
  let pending: readonly string[] = [];
  let version = '';
  let readOnly = false;
  const open = await openWith(config, options, async (database) => {
    ({ readOnly } = await database.check());
    pending = await pendingMigrations(database);
    const [row] = await onDatabase(() => database.sql<{ version: string }[]>`select current_setting('server_version') as version`);
    version = row?.version.split(' ')[0] ?? '';
    if (pending.length === 0) await openTenants(config, database);
  });
  await open.close();
  return { kind: config.database.url === undefined ? 'embedded' : 'external', version, readOnly, pendingMigrations: pending };
}
