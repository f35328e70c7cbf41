import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { s3Backend } from '../backend.ts';
import { awsProfile } from '../profile.ts';
import { newStage } from '../testing/lean.ts';
import { answering, ok, refusal } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';

const from = { bucket: 'source', key: 'a b/é' };
const to = { bucket: 'bucket', key: 'copy' };

const copied = answering('<CopyObjectResult><ETag>&quot;made&quot;</ETag></CopyObjectResult>', { 'x-amz-version-id': 'v1' });
const privately = answering('<AccessControlPolicy><Owner><ID></ID></Owner><AccessControlList/></AccessControlPolicy>');

const { serve, transportTo, clear, open } = newStage();
afterEach(clear);

describe('copies', () => {
  it('name their source, its ETag as a condition, and what is replaced', async () => {
    const server = await serve(copied);
    const headers = {
      acl: 'public-read',
      storageClass: 'STANDARD_IA',
      ifNoneMatch: '*',
      replaced: {
        contentType: 'text/plain',
        metadata: { b: '2', a: '1' },
        cacheControl: 'no-store',
        contentLanguage: 'de',
        websiteRedirect: '/x',
      },
    } as const;
    const told = await transportTo(server).copy({ ...from, ifMatch: 'etag' }, to, headers, noContext);
    expect(told).toEqual({ etag: 'made', versionId: 'v1' });
    expect(server.requests[0]).toMatchObject({ method: 'PUT', url: '/bucket/copy' });
    expect(server.requests[0]?.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-language': 'de',
      'content-length': '0',
      'content-type': 'text/plain',
      'if-none-match': '*',
      'x-amz-acl': 'public-read',
      'x-amz-copy-source': 'source/a%20b/%C3%A9',
      'x-amz-copy-source-if-match': '"etag"',
      'x-amz-meta-a': '1',
      'x-amz-meta-b': '2',
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-website-redirect-location': '/x',
    });
  });

  it('are retried if the answer begins with 200 but is an error', async () => {
    const server = await serve(answering('<Error><Code>InternalError</Code></Error>'), copied);
    expect(await transportTo(server).copy(from, to, {}, noContext)).toMatchObject({ etag: 'made' });
    expect(server.requests).toHaveLength(2);
  });

  it('do not succeed if the answer does not describe the copy', async () => {
    const server = await serve(answering(''));
    const transport = transportTo(server, { maxRetries: 0 });
    await expect(transport.copy(from, to, {}, noContext)).rejects.toMatchObject({ code: 'storage_unavailable' });
  });
});

describe('copies by parts', () => {
  it('have parts large enough not to exceed the limit of their number', async () => {
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') return response.writeHead(200, { etag: '"e"', 'content-length': 5 * 2 ** 40 }).end();
      if (request.url?.includes('acl') === true) return privately(request, response);
      const upload = '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>';
      return request.method === 'POST' ? answering(upload)(request, response) : refusal(403, 'AccessDenied')(request, response);
    });
    const backend = s3Backend({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0 }, awsProfile);
    open.push(() => backend.close());
    await expect(backend.copy(from, to, {}, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    const range = server.requests.map(({ headers }) => headers['x-amz-copy-source-range']).find((found) => found !== undefined);
    expect(Math.ceil((5 * 2 ** 40) / (Number(/-(\d+)$/.exec(String(range))?.[1]) + 1))).toBeLessThanOrEqual(10_000);
  });
});

describe('if ACLs', () => {
  // Tells requests apart by what they ask for: those for the object and for its ACL run concurrently.
  const by =
    (acl: Answer): Answer =>
    (request, response) => {
      if (request.method === 'PUT') return copied(request, response);
      return request.url?.includes('acl') === true ? acl(request, response) : ok(request, response);
    };
  const copyTwice = async (acl: Answer): Promise<readonly string[]> => {
    const server = await serve(by(acl));
    const options = { endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0 };
    const backend = s3Backend(options, { ...awsProfile, acl: false });
    open.push(() => backend.close());
    await backend.copy(from, to, {}, noContext);
    await backend.copy(from, to, {}, noContext);
    return server.requests.map(({ method, url }) => `${method} ${url?.includes('acl') === true ? 'acl' : ''}`.trim());
  };

  it.each([
    [501, 'NotImplemented'],
    [400, 'AccessControlListNotSupported'],
  ])('are unknown, objects are copied without (%i %s)', async (status, name) => {
    const requests = await copyTwice(refusal(status, name));
    expect(requests.filter((request) => request === 'PUT')).toHaveLength(2);
  });

  it('have no owner, they are asked for once', async () => {
    const requests = await copyTwice(privately);
    expect(requests.filter((request) => request === 'GET acl')).toHaveLength(1);
    expect(requests.filter((request) => request === 'PUT')).toHaveLength(2);
  });
});
