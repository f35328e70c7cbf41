import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { transports } from './testing/fault-bench.ts';
import { rewritten } from './testing/rewriting-front.ts';

const unknown = /^(?:acl|cors|lifecycle|location|uploads|versioning|versions)=/;

it.each(transports)('a server that ignores unknown parameters is used without the features they request (%s)', async (transport) => {
  const options = await rewritten(await startS3('ceph'), (request) => {
    const parameters = request.query.split('&');
    if (request.method === 'GET') request.query = parameters.filter((parameter) => !unknown.test(parameter)).join('&');
  });
  const backend = s3Backend({ ...options, transport, maxRetries: 0 });
  const buckets = backend.buckets!;
  const bucket = `unknown-parameters-${transport}`;
  const at = { bucket, key: 'odd // key' };
  await buckets.create(bucket, {}, noContext);
  await buckets.provision!(bucket, { corsOrigins: ['*'] }, noContext);
  await backend.put(at, { kind: 'buffer', data: Buffer.from('bytes') }, { contentType: 'text/plain' }, noContext);
  await backend.copy(at, { bucket, key: 'copy' }, {}, noContext);
  // What arrives in place of their ACLs looks like the page of a proxy, or is longer than any document.
  const page = { bucket, key: 'page' };
  await backend.put(page, { kind: 'buffer', data: Buffer.from('<html>') }, { contentType: 'text/html' }, noContext);
  await backend.copy(page, { bucket, key: 'page copy' }, {}, noContext);
  const large = { bucket, key: 'large' };
  await backend.put(large, { kind: 'buffer', data: Buffer.alloc(17 * 2 ** 20) }, { contentType: 'text/plain' }, noContext);
  await backend.copy(large, { bucket, key: 'large copy' }, {}, noContext);
  const { objects } = await backend.list(bucket, {}, noContext);
  expect(objects.map(({ key }) => key)).toEqual(['copy', 'large', 'large copy', at.key, 'page', 'page copy']);
  await expect(backend.acl!.getObjectAcl(at, noContext)).rejects.toMatchObject({ code: 'acl_not_supported' });
  expect(await buckets.head(bucket, noContext)).toMatchObject({ region: 'us-east-1', versioningEnabled: false });
  await buckets.delete(bucket, { force: true }, noContext);
  await backend.close?.();
});
