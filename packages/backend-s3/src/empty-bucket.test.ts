import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it } from 'vitest';

import { doors } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, refusal } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

it.each(doors)('a bucket that a server keeps for its open uploads is deleted by force all the same (%s)', async (transport) => {
  let isOpen = true;
  const upload = '<Upload><Key>key</Key><UploadId>id</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>';
  const server = await serve((request, response) => {
    const { method, url = '' } = request;
    if (url.includes('versions')) return answering('<ListVersionsResult></ListVersionsResult>')(request, response);
    if (method === 'GET') {
      return answering(`<ListMultipartUploadsResult>${isOpen ? upload : ''}</ListMultipartUploadsResult>`)(request, response);
    }
    if (url.includes('uploadId=id')) isOpen = false;
    else if (isOpen) return refusal(409, 'BucketNotEmpty')(request, response);
    return response.writeHead(204).end();
  });
  const backend = backendTo(server, { transport });
  await expect(backend.buckets?.delete('bucket', {}, noContext)).rejects.toMatchObject({ code: 'bucket_not_empty' });
  await backend.buckets?.delete('bucket', { force: true }, noContext);
  expect(isOpen).toBe(false);
});
