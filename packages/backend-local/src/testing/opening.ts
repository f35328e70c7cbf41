/* Opens the storages given as arguments and prints the outcome of each on a line. With `--unprivileged` first, drops root's rights. */
import { isStorageError, noContext } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';

const roots = process.argv.slice(2);
if (roots[0] === '--unprivileged') {
  roots.shift();
  if (process.getuid?.() === 0) process.setuid?.(65_534);
}
for (const root of roots) {
  const backend = localBackend({ root });
  try {
    await backend.check(noContext);
    console.log('opened');
  } catch (error) {
    console.log(isStorageError(error) ? `${error.code}: ${error.message}` : String(error));
  }
  await backend.close();
}
