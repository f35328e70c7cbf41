import { randomBytes, randomInt } from 'node:crypto';

/** Permanent name of the bytes of one upload: 32 hex digits. Ids are never reused and never derived from a key. */
export type BlobId = string;

const idPattern = /^[0-9a-f]{32}$/;
const blobsPerDirectory = 256;

export function isBlobId(name: string): name is BlobId {
  return idPattern.test(name);
}

/** The directory of a blob below its bucket's directory: the last two digits of the id. */
export function shardOf(id: BlobId): string {
  return id.slice(-2);
}

/**
 * Makes ids that begin with the time, so that the index over them grows at its end. Consecutive ids share a directory for a while, so
 * that concurrent writers share its sync.
 */
export function blobIds(): () => BlobId {
  let shard = randomInt(256);
  let left = blobsPerDirectory;
  return () => {
    if (left-- === 0) {
      shard = randomInt(256);
      left = blobsPerDirectory;
    }
    const time = Date.now().toString(16).padStart(12, '0');
    return `${time}${randomBytes(9).toString('hex')}${shard.toString(16).padStart(2, '0')}`;
  };
}
