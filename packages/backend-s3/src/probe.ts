import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { hasCode, isStorageError, noContext } from '@coffer/storage-core';
import type { CannedAcl, LifecycleRule, ObjectAddress, PresignedUpload, StorageError } from '@coffer/storage-core';

import { regionTold } from './bucket-region.ts';
import { corsFor } from './cors.ts';
import { quoted } from './etag.ts';
import { listObjects } from './list.ts';
import { writeByParts } from './multipart.ts';
import { isOpenToAll, sendForm } from './probe-form.ts';
import { refusedKeys } from './probe-keys.ts';
import { openSandbox } from './probe-sandbox.ts';
import type { Sandbox } from './probe-sandbox.ts';
import type { BodySum, EndpointProfile } from './profile.ts';
import type { Store } from './store.ts';
import type { Written } from './transport.ts';

const headers = { contentType: 'text/plain' };
const other = 'd41d8cd98f00b204e9800998ecf8427e';

/**
 * Finds out what an endpoint does by doing it: answers of 200 prove nothing. In a bucket of its own, which is gone
 * afterwards; where the credentials may not create one, under a prefix of its own in `bucket`. Some hundred and fifty small requests.
 */
export async function probe(store: Store, bucket: string): Promise<EndpointProfile> {
  const sandbox = await openSandbox(store, bucket);
  try {
    const write = writerTo(store);
    const [object, matched, completed] = [sandbox.at('object'), sandbox.at('matched'), sandbox.at('completed')];
    const [{ etag }] = await Promise.all([write(matched, 'object'), write(object, 'object'), write(completed, 'object')]);
    const [
      region,
      acl,
      conditionalPut,
      putMatch,
      conditionalComplete,
      conditionalCopy,
      copySourceCondition,
      verifiedSums,
      postPolicy,
      keepsUnderscores,
    ] = await Promise.all([
      regionOfNew(store, sandbox.bucket),
      aclTakesEffect(store, sandbox, write),
      allHeld(write(object, 'object', { ifNoneMatch: '*' })),
      putMatchOf(matched, etag, write),
      allHeld(writePart(store, completed, { ifNoneMatch: '*' }), writePart(store, completed, { ifMatch: quoted(other) })),
      allHeld(copy(store, object, sandbox.at('object-taken'), { ifNoneMatch: '*' }, write)),
      allHeld(copy(store, object, sandbox.at('copy'), { ifMatch: other })),
      verifiedSumsOf(store, sandbox),
      postPolicyHolds(store, sandbox),
      underscoresStay(store, sandbox.at('metadata')),
    ]);
    const keys = {
      refusedKeys: await refusedKeys(store, sandbox, write),
      hidesKeysBelowObjects: await hidesKeysBelowObjects(store, sandbox, write),
    };
    // From here on, the bucket keeps versions, if there are any.
    const rules = await bucketRules(store, sandbox);
    const ofVersions = async (): Promise<boolean | undefined> => {
      if (rules.versioning === false) return true;
      if (rules.versioning === true) return allHeld(write(object, 'object', { ifNoneMatch: '*' }));
      // Where what is in use keeps versions, that is what has been tried out.
      const keeps = await store.administration.getVersioning(sandbox.bucket, noContext).catch(() => false);
      return keeps ? conditionalPut : undefined;
    };
    return {
      region,
      acl,
      conditionalPut,
      conditionalPutOfVersions: await ofVersions(),
      putMatch,
      conditionalComplete,
      conditionalCopy,
      copySourceCondition,
      verifiedSums,
      postPolicy,
      keepsUnderscores,
      ...rules,
      ...keys,
    };
  } finally {
    // What is known is not lost over what stays behind: whoever asked again would leave the same once more.
    await sandbox.close().catch(() => {});
  }
}

export type Write = (
  at: ObjectAddress,
  text: string,
  more?: { readonly ifNoneMatch?: '*'; readonly ifMatch?: string; readonly acl?: CannedAcl },
) => Promise<Written>;

function writerTo(store: Store): Write {
  return (at, text, more = {}) => store.transport.put(at, { kind: 'buffer', data: Buffer.from(text) }, { ...headers, ...more }, noContext);
}

/** Whether the provider says no, for whatever reason, to all of these. Being out of reach is no answer. */
function allRefused(...requests: readonly Promise<unknown>[]): Promise<boolean> {
  return areAll(requests, () => true);
}

/** As a server says that a condition is not met, or that it has no such conditions. */
const holding: ReadonlySet<string> = new Set(['precondition_failed', 'not_supported', 'invalid_argument']);

/**
 * Whether the provider says no to all of these because of their conditions. Who may not do such a thing at all learns nothing of them,
 * and does not trust them.
 */
function allHeld(...requests: readonly Promise<unknown>[]): Promise<boolean> {
  return areAll(requests, (error) => {
    if (holding.has(error.code)) return true;
    if (error.code === 'access_denied') return false;
    throw error;
  });
}

/** @throws what is no answer: the next one who needs to know tries again */
async function areAll(requests: readonly Promise<unknown>[], isRefusal: (error: StorageError) => boolean): Promise<boolean> {
  const answers = await Promise.all(
    requests.map((request) =>
      request.then(
        () => false,
        (error: unknown) => {
          if (!isStorageError(error) || error.retryable || error.code === 'internal_error') throw error;
          return isRefusal(error);
        },
      ),
    ),
  );
  return !answers.includes(false);
}

async function isTaken(request: Promise<unknown>): Promise<boolean> {
  return !(await allRefused(request));
}

/** Wherever one may be said: who is told that an object is private, or public, relies on it. What a server lacks, it does not ignore. */
async function aclTakesEffect(store: Store, sandbox: Sandbox, write: Write): Promise<boolean> {
  const acl = 'public-read';
  const [at, byParts, copied, changed] = ['public', 'public-parts', 'public-copy', 'public-later'].map((name) => sandbox.at(name)) as [
    ObjectAddress,
    ObjectAddress,
    ObjectAddress,
    ObjectAddress,
  ];
  if (!(await isTaken(write(at, 'public', { acl }))) || !(await isPublic(store, at))) return false;
  const takes = async (place: ObjectAddress, making: Promise<unknown>): Promise<boolean> => {
    const isLacking = await making.then(
      () => false,
      (error: unknown) => {
        if (isStorageError(error) && !error.retryable && error.code !== 'internal_error') return true;
        throw error;
      },
    );
    return isLacking || isPublic(store, place);
  };
  await write(changed, 'private');
  if (await isPublic(store, changed)) return false;
  const all = await Promise.all([
    takes(byParts, writePart(store, byParts, { acl })),
    takes(copied, store.transport.copy(at, copied, { acl }, noContext)),
    takes(changed, store.administration.putObjectAcl(changed, acl, noContext)),
  ]);
  if (all.includes(false)) return false;
  return !(await isTaken(store.administration.putObjectAcl(at, 'private', noContext))) || !(await isPublic(store, at));
}

/** Whether it says so, and anybody reads it. */
async function isPublic(store: Store, at: ObjectAddress): Promise<boolean> {
  let isGranted = false;
  const asking = store.transport.getAcl(at, noContext).then(({ grants }) => {
    isGranted = grants.some(({ grantee }) => grantee.uri?.endsWith('/AllUsers') === true);
  });
  return (await isTaken(asking)) && isGranted && (await isOpenToAll(store, at));
}

/** Takes what the policy of a form allows, and nothing else. */
async function postPolicyHolds(store: Store, sandbox: Sandbox): Promise<boolean> {
  const form = await store.presigner.privateForm(sandbox.at('form'), { contentType: 'text/plain', size: 4, expiresIn: 600 });
  if (!(await sendForm(store, form, 'form'))) return false;
  const changed = (fields: Readonly<Record<string, string>>): PresignedUpload => ({ ...form, fields: { ...form.fields, ...fields } });
  const taken = await Promise.all([
    sendForm(store, form, 'longer'),
    sendForm(store, changed({ 'Content-Type': 'text/html' }), 'form'),
    sendForm(store, changed({ key: sandbox.at('form-elsewhere').key }), 'form'),
  ]);
  return !taken.includes(true);
}

/** On an object that has this ETag. */
async function putMatchOf(at: ObjectAddress, etag: string, write: Write): Promise<EndpointProfile['putMatch']> {
  for (const [name, spell] of [
    ['quoted', quoted],
    ['bare', String],
  ] as const) {
    if (!(await allHeld(write(at, 'object', { ifMatch: spell(other) })))) return false;
    if (await isTaken(write(at, 'object', { ifMatch: spell(etag) }))) return name;
  }
  return false;
}

async function underscoresStay(store: Store, at: ObjectAddress): Promise<boolean> {
  await store.transport.put(at, { kind: 'buffer', data: Buffer.of() }, { ...headers, metadata: { a_b: 'c' } }, noContext);
  return (await store.transport.head(at, noContext)).metadata['a_b'] === 'c';
}

function writePart(
  store: Store,
  at: ObjectAddress,
  more: { readonly ifNoneMatch?: '*'; readonly ifMatch?: string; readonly acl?: CannedAcl },
): Promise<unknown> {
  let isSent = false;
  const next = async (): ReturnType<Parameters<typeof writeByParts>[2]['parts']['next']> => {
    if (isSent) return undefined;
    isSent = true;
    return { send: (upload, ctx) => store.transport.uploadPart(upload, Buffer.from('part'), ctx), done: () => {} };
  };
  const parts = { next, fail: () => {}, verify: async () => {} };
  return writeByParts(store, at, { headers: { ...headers, ...more }, parts }, noContext);
}

async function copy(
  store: Store,
  source: ObjectAddress,
  destination: ObjectAddress,
  { ifMatch, ifNoneMatch }: { readonly ifMatch?: string; readonly ifNoneMatch?: '*' },
  write?: Write,
): Promise<void> {
  await write?.(destination, 'taken');
  const from = { ...source, ...(ifMatch !== undefined && { ifMatch }) };
  await store.transport.copy(from, destination, ifNoneMatch === undefined ? {} : { ifNoneMatch }, noContext);
}

async function regionOfNew(store: Store, bucket: string): Promise<string | undefined> {
  try {
    return await regionTold(store, bucket, noContext);
  } catch (error) {
    if (hasCode(error, 'access_denied') || hasCode(error, 'not_supported')) return undefined;
    throw error;
  }
}

const sums: Readonly<Record<BodySum, (data: Buffer) => Buffer>> = {
  md5: (data) => createHash('md5').update(data).digest(),
  crc32(data) {
    const sum = Buffer.allocUnsafe(4);
    sum.writeUInt32BE(crc32(data));
    return sum;
  },
  sha256: (data) => createHash('sha256').update(data).digest(),
};

async function verifiedSumsOf(store: Store, sandbox: Sandbox): Promise<readonly BodySum[]> {
  const names = Object.keys(sums) as BodySum[];
  const areVerified = await Promise.all(names.map((name) => isVerified(store, sandbox.at(`sum-${name}`), name)));
  return names.filter((_name, index) => areVerified[index]);
}

/** The sum of other bytes is refused, and that of these is not: some servers refuse the header. */
async function isVerified(store: Store, at: ObjectAddress, name: BodySum): Promise<boolean> {
  const data = Buffer.from('sum');
  const send = (sum: Buffer): Promise<unknown> => {
    if (name === 'md5') return store.transport.put(at, { kind: 'buffer', data, md5: sum.toString('hex') }, headers, noContext);
    const checksum = { algorithm: name, base64: sum.toString('base64') };
    return store.transport.put(at, { kind: 'buffer', data }, { ...headers, checksum }, noContext);
  };
  return (await allRefused(send(sums[name](Buffer.from('other'))))) && (await isTaken(send(sums[name](data))));
}

/** In a bucket that others use, rules are not for trying out. */
async function bucketRules(
  store: Store,
  { bucket, isOwn }: Sandbox,
): Promise<Pick<EndpointProfile, 'versioning' | 'lifecycle' | 'abortRule' | 'cors'>> {
  if (!isOwn) return { versioning: undefined, lifecycle: undefined, abortRule: undefined, cors: undefined };
  const rule = { id: 'probe', prefix: 'never/' };
  const { administration } = store;
  /** Whether it is there once it is set: some servers only say so. Undefined for who may not. */
  const has = async (setting: Promise<void>, isThere: () => Promise<boolean>): Promise<boolean | undefined> => {
    let isDenied = false;
    let isHeld = false;
    const trying = setting.then(async () => void (isHeld = await isThere()));
    const isSet = await isTaken(
      trying.catch((error: unknown) => {
        isDenied = hasCode(error, 'access_denied');
        throw error;
      }),
    );
    return isDenied ? undefined : isSet && isHeld;
  };
  const takesRule = (more: Pick<LifecycleRule, 'expireDays' | 'abortMultipartDays'>): Promise<boolean | undefined> =>
    has(administration.putRules(bucket, [{ ...rule, ...more }], noContext), async () =>
      (await administration.getRules(bucket, noContext)).some(
        ({ expireDays, abortMultipartDays }) => expireDays === more.expireDays && abortMultipartDays === more.abortMultipartDays,
      ),
    );
  const cors = await has(
    administration.putCors(bucket, [corsFor(['*'])], noContext),
    async () => (await administration.getCors(bucket, noContext)).length > 0,
  );
  // One after the other: Ceph answers 500, now and then, to one of two changes of a bucket at the same time.
  const lifecycle = await takesRule({ expireDays: 3650 });
  const abortRule = await takesRule({ abortMultipartDays: 3650 });
  const versioning = await has(administration.setVersioning(bucket, true, noContext), () =>
    administration.getVersioning(bucket, noContext),
  );
  return { versioning, lifecycle, abortRule, cors };
}

async function hidesKeysBelowObjects(store: Store, sandbox: Sandbox, write: Write): Promise<boolean> {
  const [above, below] = [sandbox.at('x'), sandbox.at('x/y')];
  await write(above, 'x');
  if (await allRefused(write(below, 'y'))) return true;
  const { objects } = await listObjects(store, sandbox.bucket, { prefix: above.key }, noContext);
  return !objects.some(({ key }) => key === below.key);
}
