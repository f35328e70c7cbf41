// What a careful team writes by hand on Fastify: a verified token, a row in PostgreSQL, a file that is synced before the answer.
// Arguments: the folder, the URL of the database.
import { createHmac, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import multipart from '@fastify/multipart';
import fastify from 'fastify';
import { jwtVerify } from 'jose';
import postgres from 'postgres-as-published';

import { jwtSecret } from '../harness/token.ts';
import { announce } from './announce.ts';

const [directory = '.', databaseUrl = ''] = process.argv.slice(2);
const sql = postgres(databaseUrl, { max: 10 });
const secret = new TextEncoder().encode(jwtSecret);
const app = fastify({ forceCloseConnections: true });

await sql`create table peer_files (id uuid primary key, owner_id text not null, filename text not null, content_type text not null,
  size_bytes bigint not null, status text not null, created_at timestamptz not null default now())`;
await app.register(multipart, { limits: { fileSize: 5 * 2 ** 30, files: 1 } });

async function subjectOf(authorization: string | undefined): Promise<string> {
  const { payload } = await jwtVerify(authorization?.replace(/^Bearer /, '') ?? '', secret, { algorithms: ['HS256'] });
  return payload.sub ?? '';
}

app.post('/upload', async (request, reply) => {
  const owner = await subjectOf(request.headers.authorization);
  const part = await request.file();
  if (part === undefined) return reply.code(400).send({ error: 'no file' });
  const id = randomUUID();
  const target = createWriteStream(join(directory, id), { flags: 'wx', flush: true });
  await pipeline(part.file, target);
  await sql`insert into peer_files (id, owner_id, filename, content_type, size_bytes, status)
    values (${id}, ${owner}, ${part.filename}, ${part.mimetype}, ${target.bytesWritten}, 'available')`;
  return reply.code(201).send({ id, filename: part.filename, content_type: part.mimetype, size_bytes: target.bytesWritten });
});

app.get<{ Params: { id: string } }>('/files/:id/download', async (request, reply) => {
  const owner = await subjectOf(request.headers.authorization);
  const [file] = await sql<{ filename: string; content_type: string; size_bytes: string }[]>`
    select filename, content_type, size_bytes from peer_files where id = ${request.params.id} and owner_id = ${owner} and status = 'available'`;
  if (file === undefined) return reply.code(404).send({ error: 'not found' });
  return reply
    .header('content-type', file.content_type)
    .header('content-length', file.size_bytes)
    .header('content-disposition', `attachment; filename="${file.filename}"`)
    .send(createReadStream(join(directory, request.params.id)));
});

app.post<{ Body: { filename: string; content_type: string; size_bytes: number } }>('/presigned-upload', async (request, reply) => {
  const owner = await subjectOf(request.headers.authorization);
  const { filename, content_type: contentType, size_bytes: size } = request.body;
  const id = randomUUID();
  const signature = createHmac('sha256', secret).update(`${id}\n${contentType}\n${size}`).digest('hex');
  await sql`insert into peer_files (id, owner_id, filename, content_type, size_bytes, status)
    values (${id}, ${owner}, ${filename}, ${contentType}, ${size}, 'pending')`;
  return reply.code(201).send({
    file_id: id,
    method: 'POST',
    upload_url: `http://127.0.0.1/${id}`,
    upload_fields: { signature },
    upload_headers: {},
    expires_in: 3600,
  });
});

await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server);
