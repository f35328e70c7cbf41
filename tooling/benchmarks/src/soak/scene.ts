import { randomInt, randomUUID } from 'node:crypto';

import type { S3Kind } from '@coffer/fixtures';

import { asAdmin, asUser } from '../harness/token.ts';
import { mebibyte } from '../harness/transfers.ts';
import { formEnd, formHead, formType } from '../load/form.ts';
import { pieces } from '../load/generated-bytes.ts';
import { Refusal, send } from './exchange.ts';
import type { Answer, RequestOptions } from './exchange.ts';
import { Slot } from './slot.ts';
import type { Version } from './slot.ts';

export interface Tenant {
  readonly tenant_uuid: string;
  /** Its first slug, from which the name of its bucket comes. */
  readonly tenant_slug: string;
  /** All slugs that it has had: a token may contain any of them. */
  readonly slugs: string[];
  /** Keys of objects that no row tracks. */
  readonly objects: readonly Slot[];
  /** Tracked files, by id. */
  readonly files: Map<string, Slot>;
}

type Who = 'user' | 'admin';

/** Few, so that they are often read while they are being replaced. */
const keysOfEach = 8;
/** Some of the keys that stores and paths get wrong. */
const names = (kind: S3Kind): readonly string[] => ['plain', 'with space', kind === 'minio' ? 'a/b' : 'a//b', 'ключ', '%2e+&?', 'x/acl'];
const writeBytes = 262_144;

/** Where the traffic goes, on whose behalf, and what is stored. */
export class Scene {
  readonly tenants: readonly Tenant[];
  readonly #urlOfApi: () => string;
  #versions = 0;

  constructor(urlOfApi: () => string, kind: S3Kind) {
    this.#urlOfApi = urlOfApi;
    const parts = names(kind);
    this.tenants = ['soak-a', 'soak-b', 'soak-c'].map((slug) => ({
      tenant_uuid: randomUUID(),
      tenant_slug: slug,
      slugs: [slug],
      objects: Array.from({ length: keysOfEach }, (_, index) => new Slot(`raw/${parts[index % parts.length]}/${index}`, 'absent')),
      files: new Map(),
    }));
  }

  /** The URL of any one of the API processes; it changes with each restart. */
  get url(): string {
    return this.#urlOfApi();
  }

  /** A version whose bytes no other version has. Some sizes are close to the part size and to the API's limits. */
  newVersion(): Version {
    const seed = (++this.#versions * 611_953) % mebibyte; // odd, so that the first million differ
    return { seed, size: randomSize() };
  }

  /** Calls the API as a user of the tenant, or as the admin on its behalf. @throws Refusal unless the status is one of `expected` */
  async call(
    who: Who,
    tenant: Tenant | undefined,
    path: string,
    expected: readonly number[],
    ask: Omit<RequestOptions, 'url'> = {},
  ): Promise<Answer> {
    const url = `${this.url}/api/v1/${path}`;
    const answer = await send({ ...ask, url, headers: { ...ask.headers, ...(await this.headers(who, tenant)) } });
    if (!expected.includes(answer.status)) throw new Refusal(`${ask.method ?? 'GET'} ${path}`, answer);
    return answer;
  }

  async headers(who: Who, tenant: Tenant | undefined): Promise<Readonly<Record<string, string>>> {
    if (tenant === undefined) return asAdmin();
    const { tenant_uuid, slugs } = tenant;
    return who === 'admin' ? { ...(await asAdmin()), 'x-tenant-id': tenant_uuid } : asUser({ tenant_uuid, tenant_slug: randomOf(slugs) });
  }
}

function randomSize(): number {
  const kind = Math.random();
  if (kind < 0.1) return randomOf([0, 1, 2, 65_535, 65_536, 65_537]);
  if (kind < 0.6) return randomInt(131_072);
  if (kind < 0.85) return randomInt(2 * mebibyte);
  return randomOf([5 * mebibyte, 8 * mebibyte - 1, 8 * mebibyte, 8 * mebibyte + 1, 16 * mebibyte, 16 * mebibyte + 1, 20 * mebibyte]);
}

export function randomOf<T>(choices: readonly T[]): T {
  return choices[randomInt(choices.length)]!;
}

export const raw = ({ seed, size }: Version): NonNullable<RequestOptions['body']> => ({
  length: size,
  pieces: pieces(size, writeBytes, seed),
});

export function form(version: Version, fields: Readonly<Record<string, string>>): Pick<RequestOptions, 'body' | 'headers' | 'method'> {
  const start = formHead(fields, fileName(version));
  const { length, pieces: bytes } = raw(version);
  const all = function* (): Generator<Buffer> {
    yield start;
    yield* bytes;
    yield formEnd;
  };
  return {
    method: 'POST',
    headers: { 'content-type': formType },
    body: { length: start.length + length + formEnd.length, pieces: all() },
  };
}

export function json(value: unknown): Pick<RequestOptions, 'body' | 'headers' | 'method'> {
  const text = Buffer.from(JSON.stringify(value));
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: { length: text.length, pieces: [text] } };
}

/** The name tells what a file must contain, even if nobody received the answer to its upload. */
export const fileName = ({ seed, size }: Version): string => `${seed}-${size}.bin`;

export function versionNamed(filename: string): Version {
  const [seed = NaN, size = NaN] = filename.replace('.bin', '').split('-').map(Number);
  return { seed, size };
}
