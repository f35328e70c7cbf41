import { shownDatabaseUrl } from '@coffer/files-db/database-url';

import type { Config } from './config.ts';

/** The configuration as plain data that is safe to print: secrets are `[set]`, as is a query for keys, and the database's URL has no password. */
export function redactedConfig(config: Config): Config {
  const { storage, auth, database } = config;
  const { accessKey, secretKey, ...s3 } = storage.s3;
  const { secret, jwksUrl, ...openAuth } = auth;
  return {
    ...config,
    storage: {
      ...storage,
      s3: { ...s3, ...(accessKey !== undefined && { accessKey: '[set]' }), ...(secretKey !== undefined && { secretKey: '[set]' }) },
      extra: Object.fromEntries(Object.keys(storage.extra).map((name) => [name, '[set]'])),
    },
    auth: {
      ...openAuth,
      ...(secret !== undefined && { secret: '[set]' }),
      ...(jwksUrl !== undefined && { jwksUrl: jwksUrl.replace(/\?.+/, '?[set]') }),
    },
    database: { ...(database.url !== undefined && { url: shownDatabaseUrl(database.url).url }) },
  };
}
