import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

import { startS3 } from '@coffer/fixtures';
import { expect, it, onTestFinished } from 'vitest';

import { probeEndpoint } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
import { accountOn } from './testing/server.ts';

/** A Ceph RGW behind a gateway that answers some requests itself. */
async function behind(answers: (method: string, path: string) => { status: number; body: string } | undefined): Promise<S3BackendOptions> {
  const account = await accountOn(await startS3('ceph'));
  const { hostname, port } = new URL(account.endpoint);
  const gateway = createServer((incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    const own = answers(method, path);
    if (own !== undefined) {
      incoming.resume();
      outgoing.writeHead(own.status, { 'content-type': 'text/plain' }).end(own.body);
      return;
    }
    const forwarded = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  onTestFinished(() => {
    gateway.close();
    gateway.closeAllConnections();
  });
  return { ...account, endpoint: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` };
}

it.each(['lean', 'sdk'] as const)('does not take any refusal for that of a condition (%s)', async (transport) => {
  const error = (code: string): string => `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
  const isUpload = (method: string, path: string): boolean => method === 'POST' && path.includes('completed?uploads');
  const denied = await behind((method, path) => (isUpload(method, path) ? { status: 403, body: error('AccessDenied') } : undefined));
  expect(await probeEndpoint({ ...denied, transport })).toMatchObject({ conditionalPut: true, conditionalComplete: false });
  const gone = await behind((method, path) => (isUpload(method, path) ? { status: 404, body: error('NoSuchBucket') } : undefined));
  await expect(probeEndpoint({ ...gone, transport })).rejects.toMatchObject({ code: 'no_such_bucket' });
});

it('does not take a server that is busy for one without forms', async () => {
  let refused = 0;
  const options = await behind((method, path) =>
    method === 'POST' && !path.includes('?') && refused++ < 1 ? { status: 503, body: '' } : undefined,
  );
  await expect(probeEndpoint(options)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  expect(await probeEndpoint(options)).toMatchObject({ postPolicy: true });
});

it('takes a page where a rule should be for a rule that there is not', async () => {
  const options = await behind((_method, path) =>
    /\?(?:cors|lifecycle)/.test(path) ? { status: 404, body: '404 page not found\n' } : undefined,
  );
  const profile = await probeEndpoint(options);
  expect(profile).toMatchObject({ acl: true, conditionalPut: true, versioning: true, cors: false, lifecycle: false, abortRule: false });
});
