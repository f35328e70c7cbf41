import type { Load } from '../harness/load.ts';
import { mebibyte } from '../harness/transfers.ts';
import { pieces } from '../load/generated-bytes.ts';
import type { Answer, UploadJob } from '../load/job.ts';
import type { Contender } from './contenders.ts';
import { presignAsk } from './turn.ts';

/** Ids of files that exist throughout, by their size in bytes. */
export type Kept = Readonly<Record<number, string>>;

const smallBytes = 10_240;
const listed = 100;

/**
 * Checks that a contender returns exactly the bytes that it was given; nothing is measured otherwise. What this uploads stays, to be
 * listed and downloaded later.
 */
export async function verifyContender(load: Load, contender: Contender): Promise<Kept> {
  const { server, bucket, paths } = contender;
  const form = (size: number, parallel: number): UploadJob => ({
    kind: 'upload',
    url: server.url + paths.form,
    method: 'POST',
    framing: 'form',
    headers: contender.headers('form'),
    size,
    announced: true,
    parallel,
    verify: ['size_bytes'],
  });
  const idOf = ([answer]: readonly Answer[]): string => answer?.id ?? '';
  await load(form(smallBytes, 1)); // the first one may have to create the bucket
  const small = idOf((await load(form(smallBytes, listed))).answers);
  const large = idOf((await load(form(mebibyte, 1))).answers);
  const unannounced = { ...form(20 * mebibyte + 1, 1), announced: false };
  await load(unannounced);
  const raw = {
    ...form(mebibyte, 2),
    url: server.url + paths.raw,
    method: 'PUT',
    framing: 'raw',
    headers: contender.headers('raw'),
  } as const;
  await load(raw);

  for (const [id, size] of [
    [small, smallBytes],
    [large, mebibyte],
  ] as const) {
    await load({ kind: 'download', url: server.url + contender.download(id), headers: contender.headers('download'), size, skip: 0 });
  }
  await assertListed(contender);
  await assertPresigned(contender);
  for (const object of await bucket.newObjects()) await bucket.assertGenerated(object);
  await bucket.exclude();
  return { [smallBytes]: small, [mebibyte]: large };
}

async function assertListed({ server, paths, headers }: Contender): Promise<void> {
  const response = await fetch(server.url + paths.list, { headers: headers('list') });
  const { files } = (await response.json()) as { readonly files: readonly unknown[] };
  if (files.length !== listed) throw new Error(`${server.url} listed ${files.length} files instead of ${listed}.`);
}

interface PresignedUpload {
  readonly method: string;
  readonly upload_url: string;
  readonly upload_fields: Readonly<Record<string, string>>;
  readonly upload_headers: Readonly<Record<string, string>>;
}

/** Checks that the store accepts a file with a presigned request. */
async function assertPresigned({ server, bucket, paths, headers }: Contender): Promise<void> {
  const before = (await bucket.newObjects()).length;
  const requestHeaders = { ...headers('presign'), 'content-type': 'application/json' };
  const response = await fetch(server.url + paths.presign, { method: 'POST', headers: requestHeaders, body: presignAsk(smallBytes) });
  const { method, upload_url: url, upload_fields: fields, upload_headers: uploadHeaders } = (await response.json()) as PresignedUpload;
  const bytes = new Uint8Array(Buffer.concat([...pieces(smallBytes, smallBytes)]));
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob([bytes]));
  const { status } = await fetch(url, { method, headers: uploadHeaders, body: method === 'POST' ? form : bytes });
  if (status < 200 || status > 299) throw new Error(`What ${server.url} had presigned was refused with ${status}.`);
  const landed = await bucket.newObjects();
  if (landed.length !== before + 1) throw new Error(`What ${server.url} had presigned did not land.`);
}
