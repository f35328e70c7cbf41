import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

import { startS3 } from '@coffer/fixtures';
import { expect, it } from 'vitest';

import { probeEndpoint } from './backend.ts';
import { accountOn } from './testing/server.ts';

it('takes a page where a rule should be for a rule that there is not', async () => {
  const account = await accountOn(await startS3('ceph'));
  const { hostname, port } = new URL(account.endpoint);
  const gateway = createServer((incoming, outgoing) => {
    const { method, url: path = '', headers } = incoming;
    if (/\?(?:cors|lifecycle)/.test(path)) {
      incoming.resume();
      outgoing.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
      return;
    }
    const forwarded = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  const endpoint = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
  const profile = await probeEndpoint({ ...account, endpoint });
  expect(profile).toMatchObject({ acl: true, conditionalPut: true, versioning: true, cors: false, lifecycle: false, abortRule: false });
  gateway.close();
  gateway.closeAllConnections();
});
