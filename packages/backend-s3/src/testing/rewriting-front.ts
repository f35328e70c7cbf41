import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { readAll } from '@coffer/storage-core';
import { onTestFinished } from 'vitest';

import type { S3BackendOptions } from '../options.ts';
import { amzDate, authorization, encodeKey, Signatures, unsignedPayload } from '../signing/signature.ts';
import { accountOn } from './server.ts';
import type { TestServer } from './server.ts';

/** What a test may change about a request before it is signed again and forwarded. */
export interface Rewritable {
  readonly method: string;
  readonly bucket: string;
  /** The object's key, decoded. */
  key: string;
  /** As it was sent. */
  query: string;
  readonly headers: Record<string, string>;
}

/**
 * An account on a server behind a front that rewrites requests, until the test ends.
 * @param rewrite returns true to answer with 200 instead of forwarding the request
 */
export async function rewritten(
  server: TestServer,
  rewrite: (request: Rewritable) => boolean | void,
): Promise<S3BackendOptions & { readonly endpoint: string }> {
  const account = await accountOn(server);
  const keys = { accessKeyId: account.accessKey!, secretAccessKey: account.secretKey! };
  const { hostname, port, host } = new URL(account.endpoint);
  const signatures = new Signatures();
  const handOn = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers: came } = incoming;
    const body = await readAll(incoming);
    const [path = '', query = ''] = url.split(/\?(.*)/s);
    const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(path) ?? [];
    const { authorization: signed, connection: _, 'transfer-encoding': __, ...others } = came as Record<string, string>;
    const changed: Rewritable = { method, bucket, key: decodeURIComponent(key), query, headers: others };
    if (rewrite(changed) === true) return void outgoing.writeHead(200, { 'content-length': 0 }).end();
    const target = `/${bucket}${key === '' ? path.slice(1 + bucket.length) : `/${encodeKey(changed.key)}`}`;
    const { headers } = changed;
    if (method !== 'GET' && method !== 'HEAD') headers['content-length'] = String(body.length);
    if (signed !== undefined) {
      const date = amzDate(Date.now());
      Object.assign(headers, { host, 'x-amz-date': date, 'x-amz-content-sha256': unsignedPayload });
      const covered = Object.entries(headers)
        .filter(([name]) => name === 'host' || name.startsWith('x-amz-'))
        .toSorted(([a], [b]) => (a < b ? -1 : 1));
      const whole = changed.query
        .split('&')
        .filter((parameter) => parameter !== '')
        .map((parameter) => (parameter.includes('=') ? parameter : `${parameter}=`));
      const request = { method, path: target, query: whole.toSorted().join('&'), headers: covered.flat(), payloadHash: unsignedPayload };
      headers['authorization'] = authorization(signatures.scope(keys, 'us-east-1', date), request, date);
    }
    const sent = send({ hostname, port, method, path: changed.query === '' ? target : `${target}?${changed.query}`, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    sent.once('error', () => outgoing.destroy());
    sent.end(body);
  };
  const front = createServer((incoming, outgoing) => {
    handOn(incoming, outgoing).catch(() => outgoing.destroy());
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  onTestFinished(() => {
    front.close();
    front.closeAllConnections();
  });
  return { ...account, endpoint: `http://127.0.0.1:${(front.address() as AddressInfo).port}` };
}
