/* Fills the disk of the storage given as its argument, and reports what happened as one line of JSON. */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, rmdirSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { isStorageError, noContext, readAll } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';
import { leftoversIn } from './storage.ts';

const [root = ''] = process.argv.slice(2);
const backend = localBackend({ root });
const at = (key: string): { readonly bucket: string; readonly key: string } => ({ bucket: 'bucket', key });

async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return 'done';
  } catch (error) {
    return isStorageError(error) ? { code: error.code, retryable: error.retryable, message: error.message } : String(error);
  }
}

const put = (key: string, data: Uint8Array): Promise<unknown> =>
  outcome(() => backend.put(at(key), { kind: 'buffer', data }, { contentType: 'a/b' }, noContext));

async function reads(key: string, data: Buffer): Promise<boolean> {
  const result = await backend.get(at(key), {}, noContext);
  return result.kind === 'object' && (await readAll(result.body)).equals(data);
}

/** Takes all the space that is left, as another program might. */
function fillUp(): void {
  const file = openSync(join(root, 'ballast'), 'a');
  try {
    for (let pages = 0; pages < 10_000; pages++) writeSync(file, Buffer.alloc(4096));
  } catch {
    // no more room
  }
  closeSync(file);
}

const report: Record<string, unknown> = {};
const kept = randomBytes(1_600_000);
await backend.buckets!.create('bucket', {}, noContext);
report['kept'] = await put('kept', kept);

const stream = Readable.from(
  (function* () {
    for (let index = 0; index < 512; index++) yield randomBytes(65_536);
  })(),
  { objectMode: false },
);
report['stream'] = await outcome(() => backend.put(at('stream'), { kind: 'stream', stream }, { contentType: 'a/b' }, noContext));
report['streamDestroyed'] = stream.destroyed;
report['overwrite'] = await put('kept', randomBytes(30_000_000));
report['leftovers'] = await leftoversIn(root, backend);
report['keptAfterwards'] = await reads('kept', kept);

for (let index = 0; index < 20; index++) await put(`small/${index}`, randomBytes(10));
let filled = 0;
for (const size of [500_000, 50_000, 4096]) for (; filled < 2000 && (await put(`fill/${filled}`, randomBytes(size))) === 'done'; filled++);
fillUp(); // down to the last page, so the index finds no room either
report['full'] = await put('one-more', Buffer.from('x'.repeat(5000)));
report['listed'] = (await backend.list('bucket', { prefix: 'fill/' }, noContext)).objects.length > 0;
report['leftoversWhenFull'] = await leftoversIn(root, backend);
report['deleteWhenFull'] = await outcome(() => backend.delete(at('kept'), noContext));
report['reserveAfterDelete'] = existsSync(join(root, 'index.db-reserve'));
report['putAfterDelete'] = await put('after', kept.subarray(0, 500_000));
report['readAfterDelete'] = await reads('after', kept.subarray(0, 500_000));

// Small objects can still be deleted one by one, however often writers take the room that becomes free.
const again: unknown[] = [];
for (let round = 0; round < 5; round++) {
  for (let more = 0; more < 200 && (await put(`more/${round}/${more}`, randomBytes(20_000))) === 'done'; more++);
  for (let more = 0; more < 2000 && (await put(`page/${round}/${more}`, randomBytes(10))) === 'done'; more++);
  again.push(await outcome(() => backend.delete(at(`fill/${filled - 1 - round}`), noContext)));
}
report['deleteEachTime'] = again.every((each) => each === 'done') || again;

// Deletes also work from another backend, such as the CLI's, and many at once.
const beside = localBackend({ root });
const others: unknown[] = [];
for (let round = 0; round < 3; round++) {
  others.push(await outcome(() => beside.delete(at(`small/${round}`), noContext)));
  for (let more = 0; more < 2000 && (await put(`more-pages/${round}/${more}`, randomBytes(10))) === 'done'; more++);
}
others.push(
  ...(await Promise.all(Array.from({ length: 17 }, (_, index) => outcome(() => beside.delete(at(`small/${3 + index}`), noContext))))),
);
await beside.close();
report['deleteByOthers'] = others.every((each) => each === 'done') || others;

// The little room that is left stays free for deletes by others: nobody tries to set aside more than there is.
mkdirSync(join(root, 'index.db-reserve.new'));
report['triedInVain'] = await put('try', randomBytes(10));
rmdirSync(join(root, 'index.db-reserve.new'));
unlinkSync(join(root, 'ballast'));
await backend.delete(at('after'), noContext);
report['reserve'] = existsSync(join(root, 'index.db-reserve'));
await backend.close();

// Deletes also work for the first process to open the index, which needs room for the shared-memory file.
fillUp();
const first = localBackend({ root });
report['listedByFirst'] = await outcome(() => first.list('bucket', {}, noContext));
report['reserveOfFirst'] = existsSync(join(root, 'index.db-reserve'));
await first.close();
fillUp();
const next = localBackend({ root });
report['listedByNext'] = await outcome(() => next.list('bucket', {}, noContext));
fillUp();
report['deleteByNext'] = await outcome(() => next.delete(at('fill/0'), noContext));
await next.close();
console.log(JSON.stringify(report));
