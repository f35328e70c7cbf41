import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { openStore } from './open-store.ts';
import { accountOn, startOn } from './testing/server.ts';

it('a copy carries headers that others have written in UTF-8', async () => {
  const account = await accountOn(await startS3('ceph'));
  const { backend, bucket, stop } = await startOn(account);
  const { transport, connection } = openStore(account);
  onTestFinished(async () => {
    connection.close();
    await backend.close();
    await stop();
  });
  const at = { bucket, key: 'named' };
  // In a header, each character stands for a byte.
  const contentDisposition = Buffer.from('attachment; filename="é→.txt"').toString('latin1');
  await transport.put(
    at,
    { kind: 'buffer', data: Buffer.from('x') },
    { contentType: 'text/plain', metadata: {}, contentDisposition },
    noContext,
  );
  await backend.copy(at, at, { acl: 'public-read' }, noContext);
  expect(await transport.head(at, noContext)).toMatchObject({ carried: { contentDisposition } });
});
