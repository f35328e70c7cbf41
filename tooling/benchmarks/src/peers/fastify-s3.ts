// Files in S3 as a team would write them on Fastify: a verified token, a row in PostgreSQL, the AWS SDK with its own agent.
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import jwt from '@fastify/jwt';
import multipart from '@fastify/multipart';
import fastify from 'fastify';

import { jwtSecret } from '../harness/token.ts';
import { announce } from './announce.ts';
import { peerFiles, s3PeerOptions } from './s3-peer.ts';
import { sdkClient } from './sdk-client.ts';

const options = s3PeerOptions();
const { bucket, databaseUrl } = options;
const client = sdkClient(options);
const files = await peerFiles(databaseUrl);
const maxBytes = 5 * 2 ** 30;
const app = fastify({ forceCloseConnections: true, bodyLimit: maxBytes, requestTimeout: 0 });
await app.register(jwt, { secret: jwtSecret });
await app.register(multipart, { limits: { fileSize: maxBytes, files: 1 } });
app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
app.addHook('onRequest', async (request) => {
  await request.jwtVerify();
});
const ownerOf = ({ user }: { readonly user: unknown }): string => (user as { readonly sub: string }).sub;

app.post('/upload', async (request, reply) => {
  const part = await request.file();
  if (part === undefined) return reply.code(400).send({ error: 'no file' });
  const id = randomUUID();
  await new Upload({ client, params: { Bucket: bucket, Key: id, Body: part.file, ContentType: part.mimetype } }).done();
  const file = { id, owner: ownerOf(request), filename: part.filename, contentType: part.mimetype, size: part.file.bytesRead };
  await files.insert({ ...file, status: 'available' });
  return reply.code(201).send({ id, filename: part.filename, content_type: part.mimetype, size_bytes: part.file.bytesRead });
});

app.put<{ Params: { name: string }; Body: Readable }>('/objects/:name', async (request, reply) => {
  const { name } = request.params;
  const size = Number(request.headers['content-length']);
  const contentType = 'application/octet-stream';
  const { ETag: etag } = await client.send(
    new PutObjectCommand({ Bucket: bucket, Key: name, Body: request.body, ContentLength: size, ContentType: contentType }),
  );
  await files.insert({ id: randomUUID(), owner: ownerOf(request), filename: name, contentType, size, status: 'available' });
  return reply.code(201).send({ key: name, etag: etag?.replaceAll('"', ''), size_bytes: size });
});

app.get<{ Params: { id: string } }>('/files/:id/download', async (request, reply) => {
  const { id } = request.params;
  const file = await files.find(id, ownerOf(request));
  if (file === undefined) return reply.code(404).send({ error: 'not found' });
  const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key: id }));
  return reply
    .header('content-type', file.content_type)
    .header('content-length', object.ContentLength)
    .header('content-disposition', `attachment; filename="${file.filename}"`)
    .send(object.Body as Readable);
});

app.post<{ Body: { filename: string; content_type: string; size_bytes: number } }>('/presigned-upload', async (request, reply) => {
  const { filename, content_type: contentType, size_bytes: size } = request.body;
  const id = randomUUID();
  await files.insert({ id, owner: ownerOf(request), filename, contentType, size, status: 'pending' });
  const url = await getSignedUrl(client, new PutObjectCommand({ Bucket: bucket, Key: id, ContentType: contentType, ContentLength: size }), {
    expiresIn: 3600,
    signableHeaders: new Set(['content-type', 'content-length']),
  });
  return reply.code(201).send({
    file_id: id,
    method: 'PUT',
    upload_url: url,
    upload_fields: {},
    upload_headers: { 'content-type': contentType },
    expires_in: 3600,
  });
});

app.get<{ Querystring: { limit: string } }>('/files', async (request) => {
  const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: Number(request.query.limit) }));
  return {
    files: (page.Contents ?? []).map(({ Key: id, Size: size, ETag: etag, LastModified: modified }) => ({
      id,
      size_bytes: size,
      etag,
      last_modified: modified,
    })),
    next_cursor: page.NextContinuationToken ?? null,
  };
});

await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server);
