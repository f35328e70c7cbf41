import { describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { awsProfile } from './profile.ts';

const at = { bucket: 'bucket', key: 'a b/${filename}' };
const exact = { contentType: 'text/plain', size: 3, expiresIn: 600 };

describe('presigned URLs', () => {
  it('are signed for the public endpoint', async () => {
    const endpoints = { endpoint: 'http://10.0.0.1:9000', publicEndpoint: 'https://files.example.com' };
    const { presign } = s3Backend({ ...endpoints, accessKey: 'who', secretKey: 'secret' }, awsProfile);
    const urls = [
      (await presign!.download(at, { expiresIn: 60 }, {})).url,
      (await presign!.upload({ ...at, key: 'form' }, exact, {})).url,
      (await presign!.upload(at, { ...exact, method: 'PUT' }, {})).url,
    ];
    expect(urls.map((url) => new URL(url).origin)).toEqual(Array(3).fill('https://files.example.com'));
    expect(urls[0]).not.toContain('secret');
  });

  it('live no longer than the credentials, nor than a week', async () => {
    const credentials = async (): Promise<{ accessKeyId: string; secretAccessKey: string; sessionToken: string; expiration: Date }> => ({
      accessKeyId: 'who',
      secretAccessKey: 'secret',
      sessionToken: 'token',
      expiration: new Date(Date.now() + 3_600_000),
    });
    const temporary = s3Backend({ credentials }, awsProfile).presign!;
    for (const { expiresIn } of [
      await temporary.download(at, { expiresIn: 86_400 }, {}),
      await temporary.upload(at, { ...exact, expiresIn: 86_400 }, {}),
    ]) {
      expect(expiresIn).toBeLessThanOrEqual(3600);
      expect(expiresIn).toBeGreaterThan(3500);
    }
    const lasting = s3Backend({ accessKey: 'who', secretKey: 'secret' }, awsProfile).presign!;
    expect((await lasting.download(at, { expiresIn: 9_999_999 }, {})).expiresIn).toBe(604_800);
  });

  it('are no forms where a form would change the key, or there are none', async () => {
    const keys = { accessKey: 'who', secretKey: 'secret' };
    expect((await s3Backend(keys, awsProfile).presign!.upload(at, exact, {})).method).toBe('PUT');
    const formless = s3Backend(keys, { ...awsProfile, postPolicy: false }).presign!;
    expect(await formless.upload({ ...at, key: 'x' }, exact, {})).toMatchObject({
      method: 'PUT',
      fields: {},
      headers: { 'Content-Type': 'text/plain' },
    });
  });
});
