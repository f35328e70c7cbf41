import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it, onTestFinished } from 'vitest';

import { probeEndpoint, s3Backend } from '../backend.ts';
import { transports } from '../testing/fault-bench.ts';
import { behindFront, errorDocument } from '../testing/front.ts';
import { accountOn } from '../testing/server.ts';

const ceph = await startS3('ceph');

it('believes a server that says it has no forms', async () => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'POST' && !path.includes('?') ? { status: 501, body: errorDocument('NotImplemented') } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ postPolicy: false, conditionalPut: true });
});

it('does not take a policy for enforced because forms are accepted', async () => {
  const options = await behindFront(ceph, (method, path) =>
    method === 'POST' && !path.includes('?') ? { status: 204, body: '' } : undefined,
  );
  expect(await probeEndpoint(options)).toMatchObject({ postPolicy: false, conditionalPut: true });
});

describe.each(transports)('forms (%s)', (transport) => {
  const grant = (grantee: string): string => `<Grant><Grantee>${grantee}</Grantee><Permission>READ</Permission></Grant>`;
  const policy = (...grants: readonly string[]): string =>
    `<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>${grants.join('')}</AccessControlList></AccessControlPolicy>`;

  it('with an ACL are not used on a server that ignores it there', async () => {
    const options = await behindFront(ceph, (_method, path) =>
      path.includes('form-public?acl') ? { status: 200, body: policy() } : undefined,
    );
    expect(await probeEndpoint({ ...options, transport })).toMatchObject({ acl: true, postPolicy: true, formAcl: false });
    expect(await probeEndpoint(await accountOn(ceph))).toMatchObject({ acl: true, postPolicy: true, formAcl: true });
    const backend = s3Backend({ ...options, transport });
    onTestFinished(() => backend.close());
    const upload = async (acl?: 'public-read' | 'private'): Promise<string | undefined> => {
      const asked = { contentType: 'text/plain', size: 1, expiresIn: 60, ...(acl !== undefined && { acl }) };
      return (await backend.presign?.upload({ bucket: 'any', key: 'x' }, asked, noContext))?.method;
    };
    expect([await upload('public-read'), await upload('private'), await upload()]).toEqual(['PUT', 'POST', 'POST']);
  });

  it('are not for empty objects on a server that refuses those', async () => {
    let forms = 0;
    const options = await behindFront(ceph, (method, path) =>
      method === 'POST' && !path.includes('?') && ++forms > 6 ? { status: 400, body: errorDocument('UnexpectedContent') } : undefined,
    );
    const backend = s3Backend({ ...options, transport });
    onTestFinished(() => backend.close());
    const upload = async (size: number): Promise<string | undefined> =>
      (await backend.presign?.upload({ bucket: 'any', key: 'x' }, { contentType: 'text/plain', size, expiresIn: 60 }, noContext))?.method;
    expect([await upload(0), await upload(1)]).toEqual(['PUT', 'POST']);
    expect(await probeEndpoint(await accountOn(ceph))).toMatchObject({ postPolicy: true, emptyForms: true });
  });

  it('are not used on a server that accepts what their policies forbid', async () => {
    let forms = 0;
    const everybody = grant('<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>');
    const options = await behindFront(ceph, (method, path) => {
      if (method === 'POST' && !path.includes('?') && ++forms === 5) return { status: 204, body: '' };
      if (path.includes('form-opened')) return { status: 200, body: policy(everybody) };
      return undefined;
    });
    expect(await probeEndpoint({ ...options, transport })).toMatchObject({ acl: true, postPolicy: false, formAcl: false });
  });
});

it('does not take a server that is busy for one without forms', async () => {
  let refused = 0;
  const options = await behindFront(ceph, (method, path) =>
    method === 'POST' && !path.includes('?') && refused++ < 1 ? { status: 503, body: '' } : undefined,
  );
  const once = probeEndpoint({ ...options, maxRetries: 0 });
  await expect(once).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  refused = 0;
  expect(await probeEndpoint(options)).toMatchObject({ postPolicy: true });
  expect(refused).toBeGreaterThan(1);
});
