import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';
import { describe, expect, it, onTestFinished } from 'vitest';

import { openStore } from '../open-store.ts';
import { accountOn, startOn } from '../testing/server.ts';

const mib = 2 ** 20;
const ceph = await startS3('ceph');

describe.each(['lean', 'sdk'] as const)('copying part by part (%s)', (transport) => {
  it.each([
    ['a%2Bb', 'a+b'],
    ['%41', 'A'],
    ['a?versionId=null', 'a'],
    ['100%', '100'],
  ])('copies "%s" itself, and not "%s"', async (key, other) => {
    const options = { ...(await accountOn(ceph)), transport, partSize: 5 * mib, copyByPartsFrom: 5 * mib + 1 };
    const { backend, bucket, stop } = await startOn(options);
    onTestFinished(stop);
    const put = (at: string, data: Buffer): Promise<unknown> =>
      backend.put({ bucket, key: at }, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
    const data = randomBytes(11 * mib + 3);
    await put(key, data);
    await put(other, randomBytes(data.length));
    const info = await backend.copy({ bucket, key }, { bucket, key: 'copy' }, {}, noContext);
    const opened = await backend.get({ bucket, key: 'copy' }, {}, noContext);
    if (opened.kind !== 'object') throw new Error('not modified');
    expect(info).toMatchObject({ size: data.length, etag: opened.info.etag, contentType: 'text/plain' });
    expect(data.equals(await readAll(opened.body))).toBe(true);
  });

  it.each(['a', '100%'])('keeps what describes "%s", and has no part beyond its end', async (key) => {
    const options = { ...(await accountOn(ceph)), transport, partSize: 5 * mib, copyByPartsFrom: 1 };
    const { backend, bucket, stop } = await startOn(options);
    const store = openStore(options);
    onTestFinished(async () => {
      store.connection.close();
      await stop();
    });
    const [from, to] = [key, 'copy'].map((each) => ({ bucket, key: each })) as [ObjectAddress, ObjectAddress];
    const described = { contentType: 'text/plain', metadata: { by: 'us' } };
    const carried = { cacheControl: 'no-cache', contentLanguage: 'de' };
    const data = randomBytes(10 * mib);
    await store.transport.put(from, { kind: 'buffer', data }, { ...described, ...carried, acl: 'public-read' }, noContext);
    expect(await backend.copy(from, to, {}, noContext)).toMatchObject({ ...described, etag: expect.stringMatching(/-2$/) as string });
    expect(await store.transport.head(to, noContext)).toMatchObject({ ...described, carried, contentLength: data.length });
    expect(await backend.acl!.getObjectAcl(to, noContext)).toEqual(await backend.acl!.getObjectAcl(from, noContext));
  });
});
