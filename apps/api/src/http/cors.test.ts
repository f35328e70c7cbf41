import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { send } from '../testing/send.ts';
import type { Answer } from '../testing/send.ts';
import { applyCors } from './cors.ts';

describe('pages of other origins', () => {
  let server: Server;
  let origins: readonly string[];
  const ask = (headers: Record<string, string>, method = 'GET'): Promise<Answer> =>
    send(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, method, '/', { headers });

  beforeAll(async () => {
    server = createServer((incoming, outgoing) => {
      if (!applyCors(incoming, outgoing, origins)) outgoing.end('answer');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.closeAllConnections());
  afterAll(() => server.close());

  it('may all read answers by default', async () => {
    origins = ['*'];
    const { headers, text } = await ask({ origin: 'https://app.example.com' });
    expect(text).toBe('answer');
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['access-control-allow-credentials']).toBeUndefined();
    expect(headers['access-control-expose-headers']).toContain('ETag');
    expect(headers.vary).toBeUndefined();
  });

  it('may read cached answers too: an <img> requests one without an origin, and a script may get it from the cache', async () => {
    origins = ['*'];
    const { headers } = await ask({});
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['access-control-expose-headers']).toContain('ETag');
    expect((await ask({ 'access-control-request-method': 'PUT' }, 'OPTIONS')).text).toBe('answer');
  });

  it.each([
    ['https://app.example.com', true],
    ['https://APP.example.com', true],
    ['https://app.example.com:8443', false],
    ['http://app.example.com', false],
    ['https://app.example.com.evil.test', false],
    ['https://a.wild.test', true],
    ['https://a.b.wild.test', true],
    ['https://wild.test', false],
    ['https://evilwild.test', false],
    ['http://a.wild.test', false],
    ['null', false],
  ])('may read answers where they are listed: %s %s', async (origin, allowed) => {
    origins = ['https://app.example.com', 'https://*.wild.test'];
    for (const method of ['GET', 'OPTIONS']) {
      const { headers, text } = await ask({ origin, 'access-control-request-method': 'PUT' }, method);
      expect(text).toBe(method === 'GET' ? 'answer' : '');
      expect(headers['access-control-allow-origin']).toBe(allowed ? origin : undefined);
      expect(headers.vary).toBe('Origin');
    }
    expect((await ask({})).headers.vary).toBe('Origin');
  });

  it('get preflights answered', async () => {
    origins = ['*'];
    const { status, headers, text } = await ask(
      {
        origin: 'https://app.example.com',
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'authorization,x-tenant-id',
      },
      'OPTIONS',
    );
    expect({ status, text }).toEqual({ status: 204, text: '' });
    expect(headers['access-control-allow-methods']).toContain('PATCH');
    expect(headers['access-control-allow-headers']).toBe('authorization,x-tenant-id');
    expect(headers['access-control-max-age']).toBe('3600');
    for (const part of [{ origin: 'https://app.example.com' }, { 'access-control-request-method': 'PATCH' }])
      expect((await ask(part as Record<string, string>, 'OPTIONS')).text).toBe('answer');
  });
});
