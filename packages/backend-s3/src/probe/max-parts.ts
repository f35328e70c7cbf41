import { noContext } from '@coffer/storage-core';

import { fewestMaxParts, maxParts } from '../limits.ts';
import type { Store } from '../store.ts';
import { abortUpload } from '../upload/multipart.ts';
import { isAccepted } from './refusals.ts';
import type { Sandbox } from './sandbox.ts';

/** The most parts of an upload, according to the highest number that one of them may have. */
export async function maxPartsOf(store: Store, sandbox: Sandbox): Promise<number> {
  const at = sandbox.at('parts');
  const sendLast = async (): Promise<void> => {
    const upload = { at, uploadId: await store.transport.createUpload(at, { contentType: 'text/plain' }, noContext) };
    try {
      await store.transport.uploadPart({ ...upload, number: maxParts }, Buffer.from('part'), noContext);
    } finally {
      await abortUpload(store, upload).catch(() => {}); // leftovers must not cost the result
    }
  };
  return (await isAccepted(sandbox, sendLast)) ? maxParts : fewestMaxParts;
}
