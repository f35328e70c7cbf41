import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { openS3Backend } from './backend.ts';
import { doors } from './testing/fault-bench.ts';
import { accountOn, ifAvailable } from './testing/server.ts';

const servers = [await startS3('ceph'), await ifAvailable(startS3('minio'))].filter((server) => typeof server !== 'string');
const cases = servers.flatMap((server) => doors.map((transport) => ({ server, transport, name: server.name })));

describe.each(cases)(
  'a write where there must be nothing, in a bucket that keeps versions ($name, $transport)',
  ({ server, transport }) => {
    it('is never one over an object', async () => {
      const backend = await openS3Backend({ ...(await accountOn(server)), transport });
      const bucket = `versions-${randomBytes(6).toString('hex')}`;
      const at = { bucket, key: 'key' };
      const put = async (data: Buffer, condition: object): Promise<unknown> =>
        backend.put(at, { kind: 'buffer', data }, { contentType: 'text/plain', ...condition }, noContext);
      await backend.buckets?.create(bucket, {}, noContext);
      await backend.versioning?.setVersioning(bucket, true, noContext);
      await put(Buffer.from('first'), {});
      const code = server.kind === 'ceph' ? 'not_supported' : 'precondition_failed';
      for (const size of [10, 9 * 2 ** 20]) await expect(put(Buffer.alloc(size), { ifNoneMatch: '*' })).rejects.toMatchObject({ code });
      const source = { bucket, key: 'source' };
      await backend.put(source, { kind: 'buffer', data: Buffer.from('another') }, { contentType: 'text/plain' }, noContext);
      await expect(backend.copy(source, at, { ifNoneMatch: '*' }, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
      expect(await backend.head(at, noContext)).toMatchObject({ size: 5 });
      await backend.versioning?.setVersioning(bucket, false, noContext);
      await expect(put(Buffer.alloc(10), { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'precondition_failed' });
      await backend.buckets?.delete(bucket, { force: true }, noContext);
      await backend.close();
    });
  },
);
