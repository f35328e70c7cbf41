import { startS3 } from '@coffer/fixtures';
import { expect, it } from 'vitest';

import { probeEndpoint } from '../backend.ts';
import { transports } from '../testing/fault-bench.ts';
import { behindFront } from '../testing/front.ts';
import { rewritten } from '../testing/rewriting-front.ts';
import type { Rewritable } from '../testing/rewriting-front.ts';

const ceph = await startS3('ceph');

/** Writes on which servers accept an ACL and ignore it. */
const deaf: readonly [string, (request: Rewritable) => boolean][] = [
  ['a copy', ({ headers }) => headers['x-amz-copy-source'] !== undefined],
  ['an upload of parts', ({ query }) => query.startsWith('uploads')],
  ['an object that is there', ({ method, query }) => method === 'PUT' && query.startsWith('acl')],
];

it.each(deaf.flatMap(([what, isDeaf]) => transports.map((transport) => ({ what, isDeaf, transport }))))(
  'does not trust the ACLs of a server that ignores them on $what ($transport)',
  async ({ isDeaf, transport }) => {
    const account = await rewritten(ceph, (request) => {
      if (!isDeaf(request)) return false;
      delete request.headers['x-amz-acl'];
      return request.query.startsWith('acl');
    });
    expect(await probeEndpoint({ ...account, transport })).toMatchObject({ acl: false, conditionalPut: true });
  },
);

it.each(transports)('does not trust ACLs that are reported but let nobody in (%s)', async (transport) => {
  const account = await rewritten(ceph, (request) => {
    const isAnonymous = request.headers['x-amz-date'] === undefined && request.key !== '' && request.query === '';
    if (isAnonymous) request.query = 'acl'; // which an anonymous reader may not see
    return false;
  });
  expect(await probeEndpoint({ ...account, transport })).toMatchObject({ acl: false, conditionalPut: true });
});

it.each(transports)('does not trust ACLs if anybody can read what is private (%s)', async (transport) => {
  const options = await behindFront(ceph, (method, path, headers) =>
    method === 'GET' && headers.authorization === undefined && path.endsWith('/public-later')
      ? { status: 200, body: 'private' }
      : undefined,
  );
  expect(await probeEndpoint({ ...options, transport })).toMatchObject({ acl: false, conditionalPut: true });
});
