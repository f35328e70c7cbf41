import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import type { CannedAcl } from '../acl.ts';
import { readAll } from '../body/body.ts';
import type { BodyInput } from '../body/body.ts';
import { isStorageError } from '../errors.ts';
import type { ByteRange, ObjectInfo } from '../object.ts';
import type { StorageService } from '../storage-service.ts';
import { groupGrants } from './acl.ts';
import { streamOf } from './harness.ts';

/** An object of a sequence: in which of two buckets, and its name below the prefix of the sequence. */
export interface Place {
  readonly bucket: 0 | 1;
  readonly name: string;
}

/** An ETag by what it is at that moment: the object's own, one that it had with other bytes, or that of no object. */
type Etag = 'present' | 'former' | 'none';

/** A body: how many bytes, which one, and how they come. */
interface Content {
  readonly size: number;
  readonly fill: number;
  readonly as: 'buffer' | 'stream' | 'stream of known size' | 'stream that ends early' | 'stream that fails';
}

interface Put {
  readonly do: 'put';
  readonly at: Place;
  readonly content: Content;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly acl?: CannedAcl;
  readonly ifNoneMatch?: '*';
  readonly ifMatch?: Etag;
  readonly checksum?: 'right' | 'wrong';
}

interface Copy {
  readonly do: 'copy' | 'move';
  readonly from: Place;
  readonly to: Place;
  readonly acl?: CannedAcl;
  readonly ifNoneMatch?: '*';
  readonly ifMatch?: Etag;
}

/** What sequences consist of, in terms that mean the same to every backend. */
export type Operation =
  | Put
  | Copy
  | { readonly do: 'get'; readonly at: Place; readonly range?: ByteRange; readonly ifMatch?: Etag; readonly ifNoneMatch?: Etag }
  | { readonly do: 'head' | 'delete' | 'getAcl'; readonly at: Place }
  | { readonly do: 'setAcl'; readonly at: Place; readonly acl: CannedAcl }
  | { readonly do: 'deleteMany'; readonly bucket: 0 | 1; readonly names: readonly string[] }
  | { readonly do: 'list'; readonly bucket: 0 | 1; readonly prefix: string; readonly delimiter?: string; readonly maxKeys?: number }
  /** Of the second bucket; nothing else changes by it. */
  | { readonly do: 'setVersioning'; readonly enabled: boolean };

const ownError = new Error('The body fails, as it is meant to.');

/** One backend, as a sequence sees it. */
export class Side {
  readonly #service: StorageService;
  readonly #buckets: readonly [string, string];
  readonly #prefix: string;
  /** The ETags that each object has had, the last one last. */
  readonly #etags = new Map<string, string[]>();

  constructor(service: StorageService, buckets: readonly [string, string], prefix: string) {
    this.#service = service;
    this.#buckets = buckets;
    this.#prefix = prefix;
  }

  /** What comes of an operation, in terms that are the same for every backend that keeps its promises. */
  async perform(operation: Operation): Promise<unknown> {
    try {
      return await this.#perform(operation);
    } catch (error) {
      if (error === ownError) return 'the error of the body';
      if (!isStorageError(error)) throw error;
      return error.code;
    }
  }

  async #perform(operation: Operation): Promise<unknown> {
    switch (operation.do) {
      case 'put':
        return this.#put(operation);
      case 'copy':
      case 'move':
        return this.#copy(operation);
      case 'get': {
        const { ifMatch, ifNoneMatch, range } = operation;
        const result = await this.#service.openIfChanged(this.#at(operation.at), {
          ...(range && { range }),
          ...(ifMatch && { ifMatch: [this.#etag(operation.at, ifMatch)] }),
          ...(ifNoneMatch && { ifNoneMatch: [this.#etag(operation.at, ifNoneMatch)] }),
        });
        if (result.kind === 'not_modified') return result.kind;
        return { ...this.#seen(operation.at, result.info), range: result.range, ...digest(await readAll(result.body)) };
      }
      case 'head':
        return this.#seen(operation.at, await this.#service.getFileInfo(this.#at(operation.at)));
      case 'delete':
        return this.#service.deleteFile(this.#at(operation.at));
      case 'deleteMany': {
        const { bucket, names } = operation;
        const { deleted, errors } = await this.#service.deleteFiles({
          bucket: this.#buckets[bucket],
          keys: names.map((name) => this.#prefix + name),
        });
        return { deleted: deleted.map((key) => key.slice(this.#prefix.length)).sort(), errors };
      }
      case 'getAcl':
        return groupGrants(await this.#service.getObjectAcl(this.#at(operation.at)));
      case 'setAcl':
        return groupGrants(await this.#service.setObjectAcl({ ...this.#at(operation.at), acl: operation.acl }));
      case 'list':
        return this.#list(operation);
      case 'setVersioning':
        if (this.#service.backend.versioning === undefined) return undefined;
        return this.#service.setVersioning(this.#buckets[1], operation.enabled);
    }
  }

  async #put({ at, content, contentType, metadata, acl, ifNoneMatch, ifMatch, checksum }: Put): Promise<unknown> {
    const bytes = Buffer.alloc(content.size, content.fill);
    const info = await this.#service.uploadFile({
      ...this.#at(at),
      body: bodyOf(content, bytes),
      ...(['stream of known size', 'stream that ends early'].includes(content.as) && { size: content.size }),
      contentType,
      metadata,
      acl,
      ifNoneMatch,
      ...(ifMatch && { ifMatch: this.#etag(at, ifMatch) }),
      ...(checksum && {
        sha256: createHash('sha256')
          .update(bytes)
          .update(checksum === 'right' ? '' : 'something else')
          .digest('hex'),
      }),
    });
    return this.#written(at, info);
  }

  async #copy({ do: what, from, to, acl, ifNoneMatch, ifMatch }: Copy): Promise<unknown> {
    const copy = {
      source: this.#at(from),
      destination: this.#at(to),
      acl,
      ifNoneMatch,
      ...(ifMatch && { ifMatch: this.#etag(from, ifMatch) }),
    };
    return this.#written(to, await (what === 'copy' ? this.#service.copyFile(copy) : this.#service.moveFile(copy)));
  }

  /** All pages; objects and common prefixes each in order. */
  async #list({ bucket, prefix, delimiter, maxKeys }: Extract<Operation, { do: 'list' }>): Promise<unknown> {
    const objects: unknown[] = [];
    const commonPrefixes: string[] = [];
    const listing = this.#service.listFiles({ bucket: this.#buckets[bucket], prefix: this.#prefix + prefix, delimiter, maxKeys });
    for await (const page of listing.pages()) {
      for (const { key, size, etag } of page.objects) {
        const name = key.slice(this.#prefix.length);
        objects.push({ name, size, etag: this.#isPresent({ bucket, name }, etag) });
      }
      commonPrefixes.push(...page.commonPrefixes.map((each) => each.slice(this.#prefix.length)));
    }
    return { objects, commonPrefixes };
  }

  #at({ bucket, name }: Place): { readonly bucket: string; readonly key: string } {
    return { bucket: this.#buckets[bucket], key: this.#prefix + name };
  }

  #etagsOf({ bucket, name }: Place): string[] {
    const place = `${bucket} ${name}`;
    const etags = this.#etags.get(place) ?? [];
    this.#etags.set(place, etags);
    return etags;
  }

  /** `former` is never the ETag that the object has: the same bytes may have the same one. */
  #etag(at: Place, which: Etag): string {
    const etags = this.#etagsOf(at);
    const present = etags.at(-1);
    const etag = which === 'present' ? present : which === 'former' ? etags.findLast((each) => each !== present) : undefined;
    return etag ?? '0'.repeat(32);
  }

  #isPresent(at: Place, etag: string): string {
    return etag === this.#etagsOf(at).at(-1) ? 'as written' : `${etag}, not as written`;
  }

  #written(at: Place, info: ObjectInfo): unknown {
    this.#etagsOf(at).push(info.etag);
    return this.#seen(at, info);
  }

  #seen(at: Place, { key, size, etag, contentType, metadata }: ObjectInfo): Readonly<Record<string, unknown>> {
    return { name: key.slice(this.#prefix.length), size, etag: this.#isPresent(at, etag), contentType, metadata: { ...metadata } };
  }
}

function bodyOf({ as }: Content, bytes: Buffer): BodyInput {
  const half = bytes.length >> 1;
  switch (as) {
    case 'buffer':
      return bytes;
    case 'stream':
    case 'stream of known size':
      return streamOf(bytes.subarray(0, half), bytes.subarray(half));
    case 'stream that ends early':
      return streamOf(bytes.subarray(0, half));
    case 'stream that fails':
      return Readable.from(failing(bytes.subarray(0, half)), { objectMode: false });
  }
}

async function* failing(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
  throw ownError;
}

/** What large bodies are compared by. */
function digest(bytes: Buffer): { readonly bytes: number; readonly sha256: string } {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
