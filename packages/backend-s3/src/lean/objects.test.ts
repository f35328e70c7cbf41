import { once } from 'node:events';
import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { AnswerBody } from '../http/answer-body.ts';
import { connect } from '../http/connection.ts';
import { poolOver } from '../http/pool.ts';
import { settingsOf } from '../settings.ts';
import { newStage } from '../testing/lean.ts';
import { ok } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';
import type { Transport } from '../transport.ts';
import { leanDriver } from './driver.ts';

const at = { bucket: 'bucket', key: 'a b' };
const data = Buffer.from('ten bytes!');
const payload = { kind: 'buffer', data } as const;
const described = { contentType: 'text/plain' };
const nothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const opened = async (transport: Transport) => {
  const result = await transport.get(at, {}, noContext);
  if (result.kind !== 'object') throw new Error('no object');
  return result;
};

const { serve, transportTo, open, clear } = newStage();
afterEach(clear);

describe('requests', () => {
  it('have the bucket in the host name unless path style is forced', async () => {
    const server = await serve(ok);
    const endpoint = server.endpoint.replace('127.0.0.1', 's3.test');
    const settings = settingsOf({ endpoint, accessKey: 'who', secretKey: 'secret', forcePathStyle: false });
    const agent = poolOver(Agent, {
      lookup: (_host, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    open.push(() => agent.destroy());
    const { transport } = leanDriver(settings, { ...connect(settings), agent });
    await transport.put(at, payload, described, noContext);
    await transport.put({ ...at, bucket: 'with.dots' }, payload, described, noContext);
    const port = new URL(endpoint).port;
    expect(server.requests.map(({ headers, url }) => [headers.host, url])).toEqual([
      [`bucket.s3.test:${port}`, '/a%20b'],
      [`s3.test:${port}`, '/with.dots/a%20b'],
    ]);
  });

  it('contain each option once', async () => {
    const server = await serve(ok);
    const md5 = '7df74d02c12d70f2b09a1f70a316145e';
    await transportTo(server).put(
      at,
      { ...payload, md5, sha256: nothing },
      { ...described, acl: 'public-read', storageClass: 'STANDARD', ifNoneMatch: '*', metadata: { b: '2', a: '1' } },
      noContext,
    );
    const [request] = server.requests;
    expect(request?.headers).toMatchObject({
      'content-length': '10',
      'content-md5': Buffer.from(md5, 'hex').toString('base64'),
      'content-type': 'text/plain',
      'if-none-match': '*',
      'x-amz-acl': 'public-read',
      'x-amz-content-sha256': nothing,
      'x-amz-meta-a': '1',
      'x-amz-storage-class': 'STANDARD',
    });
    const names = request?.rawHeaders.filter((_name, index) => index % 2 === 0).map((name) => name.toLowerCase()) ?? [];
    expect(new Set(names).size).toBe(names.length);
  });

  it('with a line break in a header are not sent', async () => {
    const server = await serve(ok);
    const injected = { ...described, metadata: { a: 'x\r\nx-amz-acl: public-read' } };
    await expect(transportTo(server).put(at, payload, injected, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(server.requests).toEqual([]);
  });

  it('are not sent for signals that are aborted, and end when those abort', async () => {
    const server = await serve((request) => request.resume());
    const transport = transportTo(server);
    const reason = new Error('enough');
    await expect(transport.head(at, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const cancel = new AbortController();
    const put = transport.put(at, payload, described, { signal: cancel.signal });
    await expect.poll(() => server.requests.length).toBe(1);
    const closed = once(server.requests[0]!.socket, 'close');
    cancel.abort(reason);
    await expect(put).rejects.toBe(reason);
    await closed;
  });
});

describe('answers', () => {
  it('that are only informational are passed over', async () => {
    const server = await serve((request, response) => {
      response.writeContinue();
      response.writeProcessing();
      ok(request, response);
    });
    expect(await transportTo(server).put(at, payload, described, noContext)).toEqual({ etag: 'made' });
  });

  it('keep their connection, unless they say that they do not', async () => {
    const server = await serve(ok, ok, (request, response) => {
      response.setHeader('connection', 'close');
      ok(request, response);
    }, ok); // prettier-ignore
    const transport = transportTo(server);
    for (let turn = 0; turn < 4; turn++) await transport.put(at, payload, described, noContext);
    expect(server.connections()).toBe(2);
  });

  it('are described by their headers, or by the defaults of S3 for missing ones', async () => {
    const lastModified = 'Fri, 24 May 2013 00:00:00 GMT';
    const server = await serve(
      (_request, response) => response.writeHead(200, { etag: 'W/"x"', 'x-amz-version-id': 'null' }).end(data),
      (_request, response) =>
        response
          .writeHead(206, {
            etag: '"x"',
            'content-type': 'image/png',
            'content-range': 'bytes 0-9/20',
            'last-modified': lastModified,
            'x-amz-meta-title': 'a',
            'x-amz-storage-class': 'GLACIER_IR',
            'x-amz-version-id': '7',
            'content-length': data.length,
          })
          .end(data),
    );
    const transport = transportTo(server);
    const bare = await transport.get(at, {}, noContext);
    const full = await transport.get(at, { range: 'bytes=0-9' }, noContext);
    if (bare.kind !== 'object' || full.kind !== 'object') throw new Error('no objects');
    expect(await readAll(bare.body)).toEqual(data);
    expect(await readAll(full.body)).toEqual(data);
    expect(bare.headers).toEqual({
      contentLength: undefined,
      etag: 'x',
      isResumable: false,
      contentType: 'application/octet-stream',
      lastModified: new Date(0),
      storageClass: 'STANDARD',
      metadata: {},
    });
    expect(full.headers).toEqual({
      contentLength: 10,
      contentRange: 'bytes 0-9/20',
      etag: 'x',
      isResumable: true,
      contentType: 'image/png',
      lastModified: new Date(lastModified),
      storageClass: 'GLACIER_IR',
      metadata: { title: 'a' },
      versionId: '7',
    });
    expect(server.requests[1]?.headers.range).toBe('bytes=0-9');
  });

  it('without changes (304) are not errors', async () => {
    const lastModified = 'Fri, 24 May 2013 00:00:00 GMT';
    const server = await serve((_request, response) => response.writeHead(304, { etag: '"x"', 'last-modified': lastModified }).end());
    const result = await transportTo(server).get(at, { ifNoneMatch: 'x', ifModifiedSince: new Date(lastModified) }, noContext);
    expect(result).toEqual({ kind: 'not_modified', etag: 'x', lastModified: new Date(lastModified) });
    expect(server.requests[0]?.headers).toMatchObject({ 'if-none-match': '"x"', 'if-modified-since': lastModified });
  });

  const cut =
    (size: number): Answer =>
    (request, response) => {
      response.writeHead(200, { etag: '"x"', 'content-length': size });
      response.write(data);
      void delay(20).then(() => request.socket.destroy());
    };

  it('that are long and cut short fail their reader', async () => {
    const { body } = await opened(transportTo(await serve(cut(1_000_000))));
    await expect(readAll(body)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('that are short and cut short are asked for again, for nobody has read of them', async () => {
    const whole: Answer = (_request, response) => void response.writeHead(200, { etag: '"x"', 'content-length': data.length }).end(data);
    const server = await serve(cut(100), whole);
    expect(await readAll((await opened(transportTo(server))).body)).toEqual(data);
    expect(server.requests).toHaveLength(2);
  });

  it('are the same bytes whatever their size and framing, on one connection', async () => {
    const sizes = [0, 1, 65_535, 65_536, 65_537, 3_000_000];
    const answers = sizes.flatMap((size): Answer[] => {
      const body = Buffer.alloc(size, 'abcdefg');
      return [
        (_request, response) => void response.writeHead(200, { etag: '"x"', 'content-length': size }).end(body),
        (_request, response) => void response.writeHead(200, { etag: '"x"', 'transfer-encoding': 'chunked' }).end(body),
      ];
    });
    const server = await serve(...answers);
    const transport = transportTo(server, { maxPoolConnections: 1 });
    for (const size of sizes) {
      for (const isSized of [true, false]) {
        const result = await opened(transport);
        expect(result.body instanceof AnswerBody).toBe(!isSized || size > 65_536);
        expect((await readAll(result.body)).equals(Buffer.alloc(size, 'abcdefg'))).toBe(true);
      }
    }
    expect(server.connections()).toBe(1);
  });

  it('that nobody reads stop arriving, and return their socket when they are closed', async () => {
    const endless: Answer = (_request, response) => {
      response.writeHead(200, { etag: '"x"', 'content-length': 1e9 });
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536)));
        response.once('drain', more);
      };
      more();
    };
    const whole: Answer = (_request, response) => void response.writeHead(200, { etag: '"x"', 'content-length': 1 }).end('x');
    const server = await serve(endless, whole);
    const transport = transportTo(server, { maxPoolConnections: 1 });
    const { body } = await opened(transport);
    await delay(100);
    expect((body as AnswerBody).received).toBeLessThan(1_000_000);
    const next = opened(transport);
    body.destroy();
    expect((await readAll((await next).body)).toString()).toBe('x');
    expect(body.errored).toBeNull();
  });
});
