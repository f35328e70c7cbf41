/* Opens the storages given as its arguments without the rights of root, and says what came of it, a line each. */
import { isStorageError, noContext } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';

if (process.getuid?.() === 0) process.setuid?.(65_534);
for (const root of process.argv.slice(2)) {
  const backend = localBackend({ root });
  try {
    await backend.check(noContext);
    console.log('opened');
  } catch (error) {
    console.log(isStorageError(error) ? error.code : String(error));
  }
  await backend.close();
}
