import type { Config } from './config.ts';
import { hasDatabase } from './has-database.ts';
import { openWith } from './open-database.ts';
import type { OpenDatabaseOptions } from './open-database.ts';

/** What `inspectDatabase` found. */
export interface DatabaseReport {
  readonly kind: 'embedded' | 'external';
  /** As the server says it: `18.1`. */
  readonly version: string;
  /** It takes no writes: a standby, or one whose transactions are read-only. */
  readonly readOnly: boolean;
  /** What the next start would do to the tables; without any, they are up to date. */
  readonly pendingMigrations: readonly string[];
}

/**
 * Looks at the configured database and changes nothing in it; undefined when that is an embedded one that nothing has made
 * yet. One that is at rest runs meanwhile.
 * @throws StartupError, the reason of `signal`
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
  });
  await open.close();
  return { kind: config.database.url === undefined ? 'embedded' : 'external', version, readOnly, pendingMigrations: pending };
}
