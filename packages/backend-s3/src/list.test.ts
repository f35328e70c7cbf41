import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { awsProfile } from './profile.ts';
import { doors } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

describe.each(doors)('a list (%s)', (door) => {
  it('ends where the server looks at no token, and would tell the same page for ever', async () => {
    const page = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>
      <Contents><Key>a</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents></ListBucketResult>`;
    const backend = backendTo(await serve(answering(page)), { transport: door });
    const { nextContinuationToken, objects } = await backend.list('bucket', { maxKeys: 1000 }, noContext);
    expect(objects).toHaveLength(1);
    const again = backend.list('bucket', { maxKeys: 1000, continuationToken: nextContinuationToken! }, noContext);
    await expect(again).rejects.toMatchObject({ code: 'not_supported', retryable: false });
  });

  it('is of no keys that begin otherwise, which a server tells that looks at no prefix', async () => {
    const key = '<Contents><Key>a</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>';
    for (const told of [key, '<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>']) {
      const backend = backendTo(await serve(answering(`<ListBucketResult>${told}</ListBucketResult>`)), { transport: door });
      const listed = backend.list('bucket', { prefix: 'b/', delimiter: '/' }, noContext);
      await expect(listed).rejects.toMatchObject({ code: 'not_supported', retryable: false });
    }
  });

  it('asks for no place that XML cannot tell, since some servers repeat it', async () => {
    const page = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>
      <Contents><Key>a::</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents></ListBucketResult>`;
    const server = await serve(answering(page), answering('<ListBucketResult></ListBucketResult>'));
    const backend = backendTo(server, { transport: door });
    const asked = { prefix: 'a:', delimiter: '::', maxKeys: 3 };
    const { nextContinuationToken } = await backend.list('bucket', asked, noContext);
    await backend.list('bucket', { ...asked, continuationToken: nextContinuationToken! }, noContext);
    const place = new URL(server.requests[1]!.url!, server.endpoint).searchParams.get('start-after');
    expect(place).toMatch(/^a::[\t\n\r]$/);
  });

  it('goes on behind the last of its common prefixes, in whatever order they come, and never back', async () => {
    const told = ['b-', 'a-'].map((prefix) => `<CommonPrefixes><Prefix>${prefix}</Prefix></CommonPrefixes>`).join('');
    const page = `<IsTruncated>true</IsTruncated><NextContinuationToken>there</NextContinuationToken>${told}`;
    const server = await serve(answering(`<ListBucketResult>${page}</ListBucketResult>`));
    const backend = backendTo(server, { transport: door });
    const asked = { delimiter: '-', maxKeys: 2 };
    const { commonPrefixes, nextContinuationToken } = await backend.list('bucket', asked, noContext);
    expect(commonPrefixes).toEqual(['a-', 'b-']);
    const again = backend.list('bucket', { ...asked, continuationToken: nextContinuationToken! }, noContext);
    await expect(again).rejects.toMatchObject({ code: 'not_supported' });
    const place = new URL(server.requests[1]!.url!, server.endpoint).searchParams.get('start-after');
    expect(place).toBe('b-\u{10FFFF}');
  });

  it('finds nothing where no key begins as a server says that it takes no argument', async () => {
    const backend = backendTo(
      await serve((request, response) =>
        request.method === 'HEAD' ? ok(request, response) : refusal(400, 'InvalidArgument')(request, response),
      ),
      { transport: door },
      { ...awsProfile, refusedKeys: ['empty segments'] },
    );
    expect(await backend.list('bucket', { prefix: 'a//' }, noContext)).toMatchObject({ objects: [], isTruncated: false });
    await expect(backend.list('bucket', { prefix: 'a/' }, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});
