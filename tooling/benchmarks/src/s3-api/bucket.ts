import { DeleteBucketCommand, DeleteObjectsCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { S3Server } from '@coffer/fixtures';

import { matches } from '../load/generated-bytes.ts';

export interface StoredObject {
  readonly key: string;
  readonly size: number;
}

export function s3Client({ endpoint, accessKey, secretKey }: S3Server): S3Client {
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestChecksumCalculation: 'WHEN_SUPPORTED',
  });
}

/** What a contender has really stored, seen from the store. */
export class BenchBucket {
  readonly name: string;
  readonly #client: S3Client;
  #kept: ReadonlySet<string> = new Set();

  constructor(client: S3Client, name: string) {
    this.#client = client;
    this.name = name;
  }

  /** What is there now stays, and is not counted from now on. */
  async keep(): Promise<void> {
    this.#kept = new Set((await this.#all()).map(({ key }) => key));
  }

  async landed(): Promise<readonly StoredObject[]> {
    return (await this.#all()).filter(({ key }) => !this.#kept.has(key));
  }

  /** @throws when a byte is another than the generated one */
  async assertGenerated({ key, size }: StoredObject): Promise<void> {
    const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
    let read = 0;
    for await (const chunk of Body as AsyncIterable<Buffer>) {
      if (!matches(chunk, read)) throw new Error(`${this.name}/${key} is not what was sent, near byte ${read}.`);
      read += chunk.byteLength;
    }
    if (read !== size) throw new Error(`${this.name}/${key} has ${read} bytes where ${size} were sent.`);
  }

  /** The store has a bounded memory. */
  async remove(objects: readonly StoredObject[]): Promise<void> {
    for (let at = 0; at < objects.length; at += 250) {
      const Objects = objects.slice(at, at + 250).map(({ key }) => ({ Key: key }));
      const { Errors } = await this.#client.send(new DeleteObjectsCommand({ Bucket: this.name, Delete: { Objects, Quiet: true } }));
      if (Errors !== undefined && Errors.length > 0) throw new Error(`${Errors.length} objects of ${this.name} could not be deleted.`);
    }
  }

  async drop(): Promise<void> {
    await this.remove(await this.#all());
    await this.#client.send(new DeleteBucketCommand({ Bucket: this.name }));
  }

  async #all(): Promise<readonly StoredObject[]> {
    const found: StoredObject[] = [];
    let token: string | undefined;
    do {
      const page = await this.#client.send(new ListObjectsV2Command({ Bucket: this.name, ContinuationToken: token }));
      for (const { Key, Size } of page.Contents ?? []) found.push({ key: Key ?? '', size: Size ?? 0 });
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return found;
  }
}
