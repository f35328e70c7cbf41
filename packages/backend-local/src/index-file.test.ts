import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { IndexFile } from './index-file.ts';
import { scratch } from './testing/storage.ts';

it.each([{ errcode: 778 }, {}])('spends the reserve on a removal that an exceeded quota turned into a failed write (%j)', async (told) => {
  const { path, remove } = await scratch();
  const file = await IndexFile.open(join(path, 'index.db'));
  await file.freed();
  const removed = await file.remove(() => {
    if (!existsSync(join(path, 'index.db-reserve'))) return 'removed';
    throw Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', ...told });
  });
  expect(removed).toBe('removed');
  await file.close();
  await remove();
});
