import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { noContext } from './context.ts';
import { memoryBackend } from './memory-backend.ts';

const at = { bucket: 'one', key: 'x' };

describe('memoryBackend', () => {
  it('has MD5 for ETags, and always the SHA-256', async () => {
    const backend = memoryBackend({ buckets: ['one'] });
    const info = await backend.put(at, { kind: 'buffer', data: Buffer.from('abc') }, { contentType: 'text/plain' }, noContext);
    expect(info.etag).toBe('900150983cd24fb0d6963f7d28e17f72');
    expect(info.sha256).toBe(createHash('sha256').update('abc').digest('hex'));
  });

  it('shares nothing with another one', async () => {
    const [one, two] = [memoryBackend({ buckets: ['one'] }), memoryBackend({ buckets: ['one'] })];
    await one.put(at, { kind: 'buffer', data: Buffer.from('abc') }, { contentType: 'text/plain' }, noContext);
    await expect(two.head(at, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
  });

  it('creates buckets in its region unless told otherwise', async () => {
    const { buckets } = memoryBackend({ region: 'eu-north-1' });
    expect((await buckets?.create('here', {}, noContext))?.region).toBe('eu-north-1');
    expect((await buckets?.create('there', { region: 'us-west-2' }, noContext))?.region).toBe('us-west-2');
  });

  it('refuses continuation tokens that it never gave', async () => {
    const backend = memoryBackend({ buckets: ['one'] });
    for (const continuationToken of ['', '%', 'a b', 'YQ==']) {
      await expect(backend.list('one', { continuationToken }, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
    }
  });
});
