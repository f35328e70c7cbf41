import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { clientOf } from '../testing/client.ts';
import type { Client } from '../testing/client.ts';
import { ask } from '../testing/request.ts';
import { serve } from '../testing/storage.ts';
import type { Served } from '../testing/storage.ts';
import { localHttpHandler } from './handler.ts';

let served: Served;
let client: Client;

beforeAll(async () => {
  served = await serve({ corsOrigins: ['https://app.example', 'https://two.example'] });
  client = clientOf(served);
});

afterAll(() => served.stop());

describe('pages of other origins', () => {
  it('may use the storage when they are allowed to', async () => {
    await client.put('cors.txt', 'x', 'public-read');
    const { headers } = await client.get('/local/bucket/cors.txt', { headers: { origin: 'https://two.example' } });
    expect(headers['access-control-allow-origin']).toBe('https://two.example');
    expect(headers['access-control-expose-headers']).toContain('ETag');
    expect(headers.vary).toContain('Origin');
    expect(headers['access-control-allow-credentials']).toBeUndefined();
  });

  it('see the errors, too', async () => {
    const { status, headers } = await client.get('/local/bucket/absent', { headers: { origin: 'https://app.example' } });
    expect([status, headers['access-control-allow-origin']]).toEqual([403, 'https://app.example']);
  });

  it('get preflights answered', async () => {
    const asked = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type,x-any' };
    const allowed = await client.get('/local/bucket/x', { method: 'OPTIONS', headers: { origin: 'https://app.example', ...asked } });
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-methods': 'GET, HEAD, PUT, POST',
      'access-control-allow-headers': 'content-type,x-any',
    });
    const other = await client.get('/local/bucket/x', { method: 'OPTIONS', headers: { origin: 'https://evil.example', ...asked } });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    expect(other.headers['access-control-allow-methods']).toBeUndefined();
  });

  it('are all allowed by default', async () => {
    const handle = localHttpHandler({ backend: served.backend });
    const server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await client.put('cors.txt', 'x', 'public-read');
    const { headers } = await ask(url, '/local/bucket/cors.txt', { headers: { origin: 'https://any.example' } });
    expect([headers['access-control-allow-origin'], headers.vary]).toEqual(['*', undefined]);
    await new Promise((resolve) => server.close(resolve));
  });
});
