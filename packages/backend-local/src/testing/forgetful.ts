/* Stores an object that is large enough for the hash thread, and forgets to close the backend. */
import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';

const [root = ''] = process.argv.slice(2);
const backend = localBackend({ root });
await backend.buckets!.create('bucket', {}, noContext);
const stream = Readable.from([Buffer.alloc(2_500_000), Buffer.alloc(2_500_000)], { objectMode: false });
const { size } = await backend.put({ bucket: 'bucket', key: 'big' }, { kind: 'stream', stream }, { contentType: 'a/b' }, noContext);
console.log(size);
