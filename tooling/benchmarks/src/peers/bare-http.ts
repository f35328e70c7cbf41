// The minimal file server in Node: `PUT /name` pipes the body unparsed into a file that is synced before the answer; `GET /name`
// pipes it back. Argument: the folder.
import { createReadStream, createWriteStream } from 'node:fs';
import { stat, unlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { announce } from './announce.ts';

const [directory = '.'] = process.argv.slice(2);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = join(directory, basename(request.url ?? ''));
  if (request.method === 'GET') {
    const { size } = await stat(path);
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
    await pipeline(createReadStream(path), response);
  } else if (request.method === 'DELETE') {
    await unlink(path);
    response.writeHead(204).end();
  } else {
    await pipeline(request, createWriteStream(path, { flush: true }));
    response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ size_bytes: (await stat(path)).size }));
  }
}

const server = createServer({ requestTimeout: 0 }, (request, response) => {
  answer(request, response).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    response.destroy();
  });
});
server.listen(0, '127.0.0.1', () => announce(server));
