import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

import { describe, it } from 'vitest';

import type { CannedAcl } from './acl.ts';
import type { PresignOperations, StorageBackend } from './backend.ts';
import { noContext } from './context.ts';
import { defined } from './defined.ts';
import { hasCode, storageError } from './errors.ts';
import { sendObject } from './http/index.ts';
import { decodeKey, encodeKey } from './key.ts';
import { wrapBackend } from './layers/wrap-backend.ts';
import { memoryBackend } from './memory-backend.ts';
import type { ObjectAddress, ObjectInfo } from './object.ts';
import { describeBackend } from './testing/index.ts';

// The smallest provider that presigns, so that the suite's presign tests run against a server that answers.

type Signed = Readonly<Record<string, string>>;

function signature(at: ObjectAddress, values: Signed): string {
  const { signature: _signature, ...rest } = values;
  return createHmac('sha256', 'a secret')
    .update(JSON.stringify([at.bucket, at.key, Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))]))
    .digest('hex');
}

function assertSigned(at: ObjectAddress, values: Signed, method: string): void {
  const valid = values['signature'] === signature(at, values) && values['method'] === method && Number(values['expires']) > Date.now();
  if (!valid) throw storageError('access_denied', 'The signature does not hold.');
}

function presigning(base: () => string): PresignOperations {
  const sign = (at: ObjectAddress, values: Readonly<Record<string, string | number | undefined>>): Signed => {
    const given = Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    );
    return { ...given, signature: signature(at, given) };
  };
  const url = (at: ObjectAddress, values: Signed): string =>
    `${base()}/${at.bucket}/${encodeKey(at.key)}?${new URLSearchParams(values).toString()}`;
  return {
    upload: async (at, { method = 'POST', expiresIn, contentType, size, acl, storageClass }, { signal }) => {
      signal?.throwIfAborted();
      const values = sign(at, { method, expires: Date.now() + expiresIn * 1000, 'content-type': contentType, size, acl, storageClass });
      if (method === 'PUT')
        return { method, url: url(at, values), fields: {}, headers: { 'content-type': contentType ?? 'any/thing' }, expiresIn };
      return { method, url: `${base()}/${at.bucket}/`, fields: { key: at.key, ...values }, headers: {}, expiresIn };
    },
    download: async (at, { method = 'GET', expiresIn, contentDisposition, contentType }, { signal }) => {
      signal?.throwIfAborted();
      const values = sign(at, { method, expires: Date.now() + expiresIn * 1000, contentDisposition, contentType });
      return { url: url(at, values), expiresIn };
    },
  };
}

function storeSigned(
  backend: StorageBackend,
  at: ObjectAddress,
  body: Readable,
  signed: Signed,
  size: number,
  type: string,
): Promise<ObjectInfo> {
  if (signed['size'] !== undefined && Number(signed['size']) !== size) throw storageError('invalid_argument', 'Another size.');
  if (signed['content-type'] !== undefined && signed['content-type'] !== type) throw storageError('invalid_argument', 'Another type.');
  const options = defined({ contentType: type, acl: signed['acl'] as CannedAcl | undefined, storageClass: signed['storageClass'] });
  return backend.put(at, { kind: 'stream', stream: body, size }, options, noContext);
}

async function answer(backend: StorageBackend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const [, bucket = '', ...segments] = path.split('/');
  if (request.method === 'POST') {
    const { 'content-type': type = '' } = request.headers;
    const form = await new Response(Readable.toWeb(request) as NodeReadableStream as ReadableStream, {
      headers: { 'content-type': type },
    }).formData();
    const { file, key = '', ...signed } = Object.fromEntries(form) as unknown as Signed & { readonly file: File };
    assertSigned({ bucket, key }, signed, 'POST');
    await storeSigned(backend, { bucket, key }, Readable.fromWeb(file.stream() as NodeReadableStream), signed, file.size, file.type);
    response.writeHead(204).end();
    return;
  }
  const at = { bucket, key: decodeKey(segments.join('/')) };
  const signed = Object.fromEntries(new URLSearchParams(query));
  assertSigned(at, signed, request.method ?? '');
  if (request.method !== 'PUT') {
    const { contentDisposition, contentType } = signed;
    await sendObject(request, response, (options) => backend.get(at, options, noContext), {
      ...(contentDisposition !== undefined && { contentDisposition }),
      ...(contentType !== undefined && { contentType }),
    });
  } else {
    await storeSigned(backend, at, request, signed, Number(request.headers['content-length']), request.headers['content-type'] ?? '');
    response.writeHead(200).end();
  }
}

describeBackend({ describe, it }, 'memory behind a server that presigns', {
  abilities: {
    buckets: true,
    acl: true,
    presign: true,
    batchDelete: true,
    versioning: false,
    lifecycle: false,
    maintenance: false,
    pull: true,
    deleteIfMatch: true,
  },
  start: async () => {
    let port = 0;
    const backend = { ...wrapBackend(memoryBackend({ buckets: ['suite'] })), presign: presigning(() => `http://127.0.0.1:${port}`) };
    const server = createServer((request, response) => {
      answer(backend, request, response).catch((error: unknown) => {
        response.writeHead(hasCode(error, 'file_not_found') ? 404 : 403).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
    const stop = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    return { backend, bucket: 'suite', stop };
  },
});
