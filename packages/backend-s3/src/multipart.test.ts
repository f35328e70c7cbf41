import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it } from 'vitest';

import { eventually } from './testing/eventually.ts';
import { doors } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, refusal } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

it.each(doors)('once a part has failed, no other one is sent on (%s)', async (transport) => {
  const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
  const first = Promise.withResolvers<void>();
  let isStopped = false;
  const server = await serve(async (request, response) => {
    const { method, url = '' } = request;
    if (method === 'POST') return begun(request, response);
    if (method === 'DELETE') return response.writeHead(204).end();
    request.resume();
    if (url.includes('partNumber=1&')) {
      request.socket.once('close', () => (isStopped = true));
      return first.resolve(); // it is never answered
    }
    await first.promise;
    return refusal(403, 'AccessDenied')(request, response);
  });
  const data = Buffer.alloc(12 * 2 ** 20);
  const put = backendTo(server, { transport, timeout: 600 }).put(
    { bucket: 'bucket', key: 'key' },
    { kind: 'buffer', data },
    { contentType: 'text/plain' },
    noContext,
  );
  const outcome = put.catch((error: unknown) => error);
  await eventually(() => isStopped).toBe(true);
  expect(await outcome).toMatchObject({ code: 'access_denied' });
  expect(server.requests.at(-1)?.method).toBe('DELETE');
});

it('parts of a stream are as large as its hint asks for, so that there are not too many of them', async () => {
  const sizes: number[] = [];
  const server = await serve((request, response) => {
    const { method, url = '', headers } = request;
    if (url.includes('partNumber=')) sizes.push(Number(headers['content-length']));
    const isBegun = method === 'POST' && url.includes('uploads');
    const document = isBegun
      ? '<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>'
      : '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>';
    return answering(method === 'POST' ? document : '', { etag: '"e"' })(request, response);
  });
  const stream = Readable.from(Array.from({ length: 30 }, () => Buffer.alloc(2 ** 20)));
  const body = { kind: 'stream', stream, sizeHint: 100 * 2 ** 30 } as const;
  await backendTo(server).put({ bucket: 'bucket', key: 'key' }, body, { contentType: 'text/plain' }, noContext);
  expect(sizes.map((size) => size / 2 ** 20).toSorted((a, b) => b - a)).toEqual([11, 11, 8]);
});
