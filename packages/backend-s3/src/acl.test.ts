import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it } from 'vitest';

import { doors } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { ok, refusal } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

it.each(doors)('an ACL that a server with others does not have is an argument that is wrong (%s)', async (transport) => {
  const server = await serve((request, response) => {
    if (request.method === 'PUT') return refusal(501, 'NotImplemented')(request, response);
    if (request.url?.startsWith('/new') === true) return refusal(404, '')(request, response);
    return ok(request, response);
  });
  const { put, copy, acl, buckets } = backendTo(server, { transport });
  const [at, body, contentType] = [{ bucket: 'bucket', key: 'x' }, { kind: 'buffer', data: Buffer.from('x') }, 'text/plain'] as const;
  const unknown = { code: 'invalid_argument', message: 'The storage provider does not know the ACL "aws-exec-read".' };
  await expect(put(at, body, { contentType, acl: 'aws-exec-read' }, noContext)).rejects.toMatchObject(unknown);
  await expect(copy(at, { ...at, key: 'y' }, { acl: 'aws-exec-read' }, noContext)).rejects.toMatchObject(unknown);
  await expect(acl?.setObjectAcl(at, 'aws-exec-read', noContext)).rejects.toMatchObject(unknown);
  await expect(acl?.setBucketAcl('bucket', 'aws-exec-read', noContext)).rejects.toMatchObject(unknown);
  await expect(buckets?.create('new', { acl: 'aws-exec-read' }, noContext)).rejects.toMatchObject(unknown);
  await expect(put(at, body, { contentType, acl: 'public-read' }, noContext)).rejects.toMatchObject({ code: 'not_supported' });
  await expect(put(at, body, { contentType }, noContext)).rejects.toMatchObject({ code: 'not_supported' });
});
