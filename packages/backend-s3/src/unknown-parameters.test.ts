import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { rewritten } from './testing/rewriting-front.ts';

const unknown = /^(?:acl|cors|lifecycle|location|uploads|versioning|versions)=/;

it('a server that ignores unknown parameters is used without the features they request', async () => {
  const options = await rewritten(await startS3('ceph'), (request) => {
    const parameters = request.query.split('&');
    if (request.method === 'GET') request.query = parameters.filter((parameter) => !unknown.test(parameter)).join('&');
  });
  const backend = s3Backend({ ...options, maxRetries: 0 });
  const buckets = backend.buckets!;
  const bucket = 'unknown-parameters';
  const at = { bucket, key: 'odd // key' };
  await buckets.create(bucket, {}, noContext);
  await buckets.provision!(bucket, { corsOrigins: ['*'] }, noContext);
  await backend.put(at, { kind: 'buffer', data: Buffer.from('bytes') }, { contentType: 'text/plain' }, noContext);
  await backend.copy(at, { bucket, key: 'copy' }, {}, noContext);
  const { objects } = await backend.list(bucket, {}, noContext);
  expect(objects.map(({ key }) => key)).toEqual(['copy', at.key]);
  await expect(backend.acl!.getObjectAcl(at, noContext)).rejects.toMatchObject({ code: 'acl_not_supported' });
  expect(await buckets.head(bucket, noContext)).toMatchObject({ region: 'us-east-1', versioningEnabled: false });
  await buckets.delete(bucket, { force: true }, noContext);
  await backend.close?.();
});
