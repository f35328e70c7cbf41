import type { PresignOperations, PresignUploadOptions } from '@coffer/storage-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { s3Backend } from './backend.ts';
import { openStore } from './open-store.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';

const at = { bucket: 'bucket', key: 'a b/${filename}' };
const exact = { contentType: 'text/plain', size: 3, expiresIn: 600 };

describe.each(['lean', 'sdk'] as const)('presigned URLs, %s', (transport) => {
  it('are signed for the public endpoint', async () => {
    const endpoints = { endpoint: 'http://10.0.0.1:9000', publicEndpoint: 'https://files.example.com' };
    const { presign } = s3Backend({ transport, ...endpoints, accessKey: 'who', secretKey: 'secret' }, awsProfile);
    const urls = [
      (await presign!.download(at, { expiresIn: 60 }, {})).url,
      (await presign!.upload({ ...at, key: 'form' }, exact, {})).url,
      (await presign!.upload(at, { ...exact, method: 'PUT' }, {})).url,
    ];
    expect(urls.map((url) => new URL(url).origin)).toEqual(Array(3).fill('https://files.example.com'));
    expect(urls[0]).not.toContain('secret');
  });

  it('live no longer than the credentials, nor than a week', async () => {
    const presignWith = (life: number): PresignOperations => {
      const keys = { accessKeyId: 'who', secretAccessKey: 'secret', sessionToken: 'token', expiration: new Date(Date.now() + life) };
      return s3Backend({ transport, credentials: async () => keys }, awsProfile).presign!;
    };
    const temporary = presignWith(3_600_900);
    for (const { expiresIn } of [
      await temporary.download(at, { expiresIn: 86_400 }, {}),
      await temporary.upload(at, { ...exact, expiresIn: 86_400 }, {}),
    ]) {
      expect(expiresIn).toBeLessThanOrEqual(3600);
      expect(expiresIn).toBeGreaterThan(3500);
    }
    expect((await presignWith(900).download(at, { expiresIn: 60 }, {})).expiresIn).toBe(1); // servers take no 0
    const lasting = s3Backend({ transport, accessKey: 'who', secretKey: 'secret' }, awsProfile).presign!;
    expect((await lasting.download(at, { expiresIn: 9_999_999 }, {})).expiresIn).toBe(604_800);
  });

  it("live no longer than the credentials by the server's clock, where ours is wrong", async () => {
    const credentials = { accessKeyId: 'who', secretAccessKey: 'secret', expiration: new Date(Date.now() + 3_600_000) };
    const { connection } = openStore({ transport, credentials: async () => credentials });
    connection.clock.set(-1_800_000);
    expect(await connection.credentials.secondsLeft()).toBeGreaterThan(5_000);
  });

  it('lead to the internal endpoint if Coffer uses them itself', async () => {
    const endpoints = { endpoint: 'http://10.0.0.1:9000', publicEndpoint: 'https://files.example.com' };
    const { presigners } = openStore({ transport, ...endpoints, accessKey: 'who', secretKey: 'secret' });
    expect((await presigners.public.form(at, exact)).url).toBe('https://files.example.com/bucket');
    expect((await presigners.internal.form(at, exact)).url).toBe('http://10.0.0.1:9000/bucket');
  });

  it('are enough by themselves for whoever uploads bytes of any type, also where others come with headers against copies', async () => {
    const settings = { transport, endpoint: 'http://10.0.0.1:9000', accessKey: 'who', secretKey: 'secret' };
    const presign = s3Backend(settings, { ...awsProfile, presignedPuts: 'guarded' }).presign!;
    const { url, headers } = await presign.upload(at, { method: 'PUT', expiresIn: 600 }, {});
    expect([headers, new URL(url).searchParams.get('X-Amz-SignedHeaders')]).toEqual([{}, 'host']);
    const typed = await presign.upload(at, { ...exact, method: 'PUT' }, {});
    expect(Object.keys(typed.headers)).toEqual(['Content-Type', 'x-amz-copy-source-range', 'x-amz-metadata-directive']);
  });

  it('are refused for more bytes than one request can write', async () => {
    const { presign } = s3Backend({ transport, accessKey: 'who', secretKey: 'secret' }, awsProfile);
    const key = { bucket: 'bucket', key: 'large' };
    expect(await presign!.upload(key, { ...exact, size: 5 * 2 ** 30 }, {})).toMatchObject({ method: 'POST' });
    await expect(presign!.upload(key, { ...exact, size: 5 * 2 ** 30 + 1 }, {})).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('are not given for keys that the server does not keep apart from others', async () => {
    const profile = { ...awsProfile, refusedKeys: ['empty segments' as const] };
    const { presign } = s3Backend({ transport, accessKey: 'who', secretKey: 'secret' }, profile);
    const odd = { bucket: 'bucket', key: 'a//b' };
    await expect(presign!.download(odd, { expiresIn: 60 }, {})).rejects.toMatchObject({ code: 'invalid_key' });
    await expect(presign!.upload(odd, exact, {})).rejects.toMatchObject({ code: 'invalid_key' });
  });

  it('are not forms if a form would change the key, or the server has no forms', async () => {
    const keys = { transport, accessKey: 'who', secretKey: 'secret' };
    for (const key of [at.key, 'ends with a space ', ' begins with one'])
      expect((await s3Backend(keys, awsProfile).presign!.upload({ ...at, key }, exact, {})).method).toBe('PUT');
    const formless = s3Backend(keys, { ...awsProfile, postPolicy: false }).presign!;
    expect(await formless.upload({ ...at, key: 'x' }, exact, {})).toMatchObject({
      method: 'PUT',
      fields: {},
      headers: { 'Content-Type': 'text/plain' },
    });
  });

  it('are not forms if the server ignores the ACL of a form, or accepts no form for an empty object', async () => {
    const keys = { transport, accessKey: 'who', secretKey: 'secret' };
    const methodOf = async (profile: Partial<EndpointProfile>, options: Partial<PresignUploadOptions>): Promise<string> =>
      (await s3Backend(keys, { ...awsProfile, ...profile }).presign!.upload({ ...at, key: 'x' }, { ...exact, ...options }, {})).method;
    for (const [lacking, options] of [
      [{ formAcl: false }, { acl: 'public-read' }],
      [{ emptyForms: false }, { size: 0 }],
    ] as const) {
      expect([await methodOf(lacking, options), await methodOf({}, options)]).toEqual(['PUT', 'POST']);
      expect(await methodOf(lacking, { acl: 'private' })).toBe('POST');
    }
  });
});

describe('presigned URLs, lean', () => {
  const keys = { transport: 'lean', accessKey: 'who', secretKey: 'secret' } as const;

  it('are signed for the region where the bucket was found, whatever the configured region', async () => {
    for (const endpoints of [{}, { endpoint: 'http://10.0.0.1:9000', publicEndpoint: 'https://files.example.com' }]) {
      const { presigners, connection } = openStore({ ...keys, ...endpoints });
      connection.bucketEndpoints.learn('bucket', connection.bucketEndpoints.of('bucket'), 'eu-central-1');
      expect((await presigners.public.getUrl(at, { expiresIn: 60 })).split('%2F')).toContain('eu-central-1');
    }
  });

  it('have their parameters in the order of the signature', async () => {
    const { presigners } = openStore(keys);
    const url = await presigners.public.getUrl(at, { expiresIn: 60, contentDisposition: 'attachment', contentType: 'a/b' });
    const names = [...new URL(url).searchParams.keys()].filter((name) => name !== 'X-Amz-Signature');
    expect(names).toEqual(names.toSorted());
  });
});

describe('both presigners', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const credentials = { accessKeyId: 'who', secretAccessKey: 'secret', sessionToken: 'a+token/=' };
  const full = { ...exact, acl: 'public-read', storageClass: 'STANDARD_IA' } as const;
  const servers = [
    ['AWS', {}],
    ['AWS with keys that last', { credentials: { accessKeyId: 'who', secretAccessKey: 'secret' } }],
    ['AWS in another region', { region: 'eu-central-1' }],
    ['AWS by path', { forcePathStyle: true }],
    ['a server', { endpoint: 'http://127.0.0.1:9000' }],
    ['a server by host', { endpoint: 'https://s3.example.com', forcePathStyle: false }],
    ['a server behind a name and a path', { endpoint: 'http://10.0.0.1:9000', publicEndpoint: 'https://files.example.com/s3/' }],
  ] as const;

  it.each(servers)('give the same for %s', async (_name, server) => {
    const [lean, sdk] = (['lean', 'sdk'] as const).map(
      (transport) => s3Backend({ credentials, transport, ...server }, awsProfile).presign!,
    );
    for (const bucket of ['bucket', 'bucket-2']) {
      for (const key of ['key', 'a b+c%/é→日本/"x"/(1)\'!*', '//x']) {
        for (const options of [exact, full, { ...exact, size: 0 }, { expiresIn: 5 }]) {
          const form = (from: PresignOperations): Promise<unknown> => from.upload({ bucket, key }, options, {});
          expect(await form(lean!)).toEqual(await form(sdk!));
          const put = await lean!.upload({ bucket, key }, { ...options, method: 'PUT' }, {});
          const other = await sdk!.upload({ bucket, key }, { ...options, method: 'PUT' }, {});
          expect({ ...put, url: described(put.url) }).toEqual({ ...other, url: described(other.url) });
        }
        for (const asked of [{}, { contentDisposition: 'attachment; filename="a b.csv"', contentType: 'text/csv' }]) {
          const get = async (from: PresignOperations): Promise<unknown> =>
            described((await from.download({ bucket, key }, { expiresIn: 60, ...asked }, {})).url);
          expect(await get(lean!)).toEqual(await get(sdk!));
        }
      }
    }
  });
});

/** Everything in a URL but its signature and the parameters that only the SDK adds. */
function described(url: string): unknown {
  const { origin, pathname, searchParams } = new URL(url);
  const own = ['X-Amz-Signature', 'X-Amz-Content-Sha256', 'x-id'];
  return { origin, pathname, query: Object.fromEntries([...searchParams].filter(([name]) => !own.includes(name))) };
}
