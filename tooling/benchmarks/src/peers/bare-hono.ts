// Routes that only answer, on the framework and the adapter that the API server uses: no token, no database, no file.
import { randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';

import { serve } from '@hono/node-server';
import { Hono } from 'hono';

import { announce } from './announce.ts';

const app = new Hono<{ Bindings: { incoming: IncomingMessage } }>();
const file = randomBytes(10_240);
const headers = { 'content-type': 'application/octet-stream', 'content-length': String(file.byteLength) };

app.get('/download', (c) => c.body(file, 200, headers));

app.post('/presigned-upload', async (c) => {
  const { filename } = await c.req.json<{ filename: string }>();
  const id = randomUUID();
  return c.json(
    {
      file_id: id,
      method: 'POST',
      upload_url: `http://127.0.0.1/${id}`,
      upload_fields: { key: filename },
      upload_headers: {},
      expires_in: 3600,
    },
    201,
  );
});

app.post('/upload', async (c) => {
  let size = 0;
  for await (const chunk of c.env.incoming) size += (chunk as Buffer).byteLength;
  return c.json({ id: randomUUID(), size_bytes: size }, 201);
});

const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => announce(server as Server));
