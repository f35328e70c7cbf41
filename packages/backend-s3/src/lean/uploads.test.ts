import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { connect } from '../http/connection.ts';
import { settingsOf } from '../settings.ts';
import { accountOn, ifAvailable, startOn } from '../testing/server.ts';
import { LeanClient } from './client.ts';
import { leanObjects } from './objects.ts';
import { leanUploads } from './uploads.ts';

const minio = await ifAvailable(startS3('minio'));

describe.skipIf(typeof minio === 'string')('uploads as AWS wants them, on MinIO', () => {
  it('announce the checksums of their parts, and repeat them', async () => {
    if (typeof minio === 'string') throw new Error(minio);
    const options = await accountOn(minio);
    const started = await startOn(options);
    const settings = settingsOf(options);
    const connection = connect(settings);
    const client = new LeanClient(settings, connection);
    const aws = { ...leanObjects(client, { isAws: true }), ...leanUploads(client, { isAws: true }) };
    const at = { bucket: started.bucket, key: 'checked & parted' };
    const data = randomBytes(5 * 2 ** 20 + 1);
    const uploadId = await aws.createUpload(at, { contentType: 'text/plain', cacheControl: 'no-store', metadata: { a: 'b' } }, noContext);
    const send = (number: number, bytes: Uint8Array): Promise<{ readonly etag: string; readonly crc32?: string }> =>
      aws.uploadPart({ at, uploadId, number }, bytes, noContext);
    const parts = [
      { number: 1, ...(await send(1, data.subarray(0, -1))) },
      { number: 2, ...(await send(2, data.subarray(-1))) },
    ];
    expect(parts.map(({ crc32 }) => crc32)).toEqual([expect.stringMatching(/^[\w+/]{6}==$/), expect.stringMatching(/^[\w+/]{6}==$/)]);
    const without = parts.map(({ number, etag }) => ({ number, etag, crc32: 'AAAAAA==' }));
    await expect(aws.completeUpload({ at, uploadId }, without, {}, noContext)).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
    const { etag } = await aws.completeUpload({ at, uploadId }, parts, {}, noContext);
    const head = await aws.head(at, noContext);
    expect([head.etag, head.contentLength, head.contentType, head.metadata]).toEqual([etag, data.length, 'text/plain', { a: 'b' }]);
    connection.close();
    await started.backend.close();
    await started.stop();
  });
});

describe('a completion whose answer begins with 200', () => {
  it('but is an error is retried', async () => {
    const answers = [
      '  \n <?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code><Message>We are sorry</Message></Error>',
      '\n<CompleteMultipartUploadResult><ETag>&quot;made-1&quot;</ETag></CompleteMultipartUploadResult>',
    ];
    const server = createServer((request, response) => {
      request.resume();
      response.end(answers.shift() ?? '<Error><Code>AccessDenied</Code></Error>');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const settings = settingsOf({ endpoint, accessKey: 'who', secretKey: 'secret' });
    const connection = connect(settings);
    const { completeUpload } = leanUploads(new LeanClient(settings, connection), settings);
    const upload = { at: { bucket: 'bucket', key: 'key' }, uploadId: 'id' };
    expect(await completeUpload(upload, [{ number: 1, etag: 'x' }], {}, noContext)).toEqual({ etag: 'made-1' });
    await expect(completeUpload(upload, [{ number: 1, etag: 'x' }], {}, noContext)).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
    connection.close();
    server.close();
  });
});
