import { memoryBackend, readAll } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { FileAccess, FileRecord, FileStatus, OpenedFile, PresignedFileUpload, UploadFileRequest } from './index.ts';
import { FileModel } from './testing/file-model.ts';
import type { Caller, ModelFile, TenantName } from './testing/file-model.ts';
import { codeOf, openRig, presigning, processBeside } from './testing/support.ts';
import type { Rig } from './testing/support.ts';

const tenant = fc.constantFrom<TenantName>('acme', 'globex');
const subject = fc.constantFrom('alice', 'bob');
const role = fc.constantFrom<FileAccess['role']>('user', 'user', 'service', 'admin');
const caller = fc.record({ role, subject, tenant });
const text = fc.constantFrom('', 'one', 'twelve chars');
const filename = fc.constantFrom('a.txt', 'é "b".txt');
/** Which file: counted from the latest one backwards, so that sequences are about few files. */
const file = fc.nat({ max: 4 });
const described = { tenant, owner: subject, filename, text, isPublic: fc.boolean() };
const as = <Kind extends string>(kind: Kind): fc.Arbitrary<Kind> => fc.constant(kind);

const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: as('upload'), ...described }) },
  { weight: 3, arbitrary: fc.record({ do: as('presign'), ...described }) },
  { weight: 3, arbitrary: fc.record({ do: as('send'), file, right: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: as('complete'), file, caller }) },
  { weight: 1, arbitrary: fc.record({ do: as('expire'), file }) },
  { weight: 3, arbitrary: fc.record({ do: as('update'), file, caller, isPublic: fc.option(fc.boolean()), filename: fc.option(filename) }) },
  { weight: 3, arbitrary: fc.record({ do: as('delete'), file, caller }) },
  { weight: 3, arbitrary: fc.record({ do: as('open'), file, caller }) },
  { weight: 2, arbitrary: fc.record({ do: as('openPublic'), file }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: as('list'),
      caller,
      status: fc.constantFrom<FileStatus>('available', 'available', 'pending', 'failed'),
      owner: fc.option(subject, { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: as('setQuota'), tenant, bytes: fc.option(fc.constantFrom(0, 5, 15, 30)) }) },
  { weight: 1, arbitrary: fc.record({ do: as('rename'), tenant }) },
  { weight: 1, arbitrary: fc.record({ do: as('sweep') }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

let rig: Rig;
let beside: ReturnType<typeof processBeside>;
let runs = 0;
beforeAll(async () => {
  rig = await openRig({ backend: presigning(memoryBackend()) });
  beside = processBeside(rig);
});
afterAll(async () => {
  await beside.close();
  await rig.close();
});

/** Two processes that take turns, with tenants of their own, and what the model says they do. */
class Sequence {
  readonly #model = new FileModel();
  readonly #tenants: Record<TenantName, TenantContext>;
  readonly #ids: string[] = [];
  readonly #forms = new Map<number, PresignedFileUpload>();
  #turn = 0;

  private constructor(run: number) {
    const context = (name: string): TenantContext => ({ tenantUuid: `${name}-${run}`, tenantSlug: `${name}-${run}` });
    this.#tenants = { acme: context('acme'), globex: context('globex') };
  }

  static async begin(): Promise<Sequence> {
    const sequence = new Sequence(++runs);
    for (const context of Object.values(sequence.#tenants)) await rig.tenants.create(context);
    return sequence;
  }

  async perform(operation: Operation): Promise<void> {
    const [actual, expected] = await this.#perform(operation);
    expect(actual, JSON.stringify(operation)).toEqual(expected);
    for (const name of ['acme', 'globex'] as const) expect(await rig.usage(this.#tenants[name])).toEqual(this.#model.usage(name));
  }

  /** A day later, nothing is left of what is not a file. */
  async end(): Promise<void> {
    const own = Object.values(this.#tenants).map(({ tenantUuid }) => `'${tenantUuid}'`);
    await rig.query(`update files set expires_at = to_timestamp(0), sweep_at = to_timestamp(0)
      where upload_key is not null and tenant_uuid in (${own.join(', ')})`);
    expect(await rig.files.sweep({ olderThanSeconds: 0 })).toMatchObject({ retained: 0 });
    for (const [index, each] of this.#model.files.entries()) this.#model.files[index] = { ...each, hasExpired: true };
    this.#model.sweep();
    const kept = this.#model.files.filter(({ status }) => status === 'available').length;
    const rows = await rig.query<{ readonly status: string }>(`select status from files where tenant_uuid in (${own.join(', ')})`);
    expect(rows.map(({ status }) => status)).toEqual(Array.from({ length: kept }, () => 'available'));
    const buckets = Object.values(this.#tenants).map(({ tenantUuid }) => `${tenantUuid}-`);
    expect((await rig.keys()).filter((key) => buckets.some((bucket) => key.startsWith(bucket)))).toHaveLength(kept);
  }

  /** What it comes to, and what it should. */
  async #perform(operation: Operation): Promise<readonly [actual: unknown, expected: unknown]> {
    const { files, tenants } = ++this.#turn % 2 === 0 ? rig : beside;
    const model = this.#model;
    const index = 'file' in operation ? model.files.length - 1 - operation.file : -1;
    const id = this.#ids[index] ?? '00000000-0000-7000-8000-000000000000';
    switch (operation.do) {
      case 'upload': {
        const expected = model.add({ ...fieldsOf(operation), status: 'available' });
        const request = { body: operation.text, contentType: 'text/plain', ...this.#requestOf(operation) };
        const actual = await outcome(files.uploadFile(request), (record) => this.#ids.push(record.id) - 1);
        return [actual, expected];
      }
      case 'presign': {
        const expected = model.add({ ...fieldsOf(operation), status: 'pending' });
        const request = { contentType: 'text/plain', sizeBytes: operation.text.length, ...this.#requestOf(operation) };
        const actual = await outcome(files.createPresignedUpload(request), (form) => {
          this.#forms.set(this.#ids.length, form);
          return this.#ids.push(form.fileId) - 1;
        });
        return [actual, expected];
      }
      case 'send': {
        const form = this.#forms.get(index);
        const sought = model.files[index];
        if (form === undefined || sought === undefined || sought.isSwept === true) return ['no form', 'no form'];
        const sent = operation.right ? sought.text : `${sought.text}, and more`;
        const bucket = await tenants.bucketFor(this.#tenants[sought.tenant]);
        const body = { kind: 'buffer', data: Buffer.from(sent) } as const;
        await rig.backend.put({ bucket, key: form.uploadFields['key']! }, body, { contentType: 'text/plain' }, {});
        model.files[index] = { ...sought, sent };
        return ['sent', 'sent'];
      }
      case 'complete':
        return [
          await outcome(files.completeUpload(id, this.#accessOf(operation.caller)), seen),
          shown(model.complete(index, operation.caller)),
        ];
      case 'expire': {
        if (!this.#forms.has(index)) return ['no form', 'no form'];
        await rig.query(`update files set expires_at = to_timestamp(0), sweep_at = to_timestamp(0) where id = '${id}'`);
        model.files[index] = { ...model.files[index]!, hasExpired: true };
        return ['expired', 'expired'];
      }
      case 'update': {
        const changes = {
          ...(operation.isPublic !== null && { isPublic: operation.isPublic }),
          ...(operation.filename !== null && { filename: operation.filename }),
        };
        return [
          await outcome(files.update(id, changes, this.#accessOf(operation.caller)), seen),
          shown(model.change(index, operation.caller, changes)),
        ];
      }
      case 'delete':
        return [await outcome(files.delete(id, this.#accessOf(operation.caller)), () => 'done'), model.delete(index, operation.caller)];
      case 'open':
        return [await outcome(files.open(id, {}, this.#accessOf(operation.caller)), read), model.open(index, operation.caller)];
      case 'openPublic':
        return [await outcome(files.openPublic(id), read), model.openPublic(index)];
      case 'list':
        return [await this.#list(files, operation), [...model.list(operation.caller, operation.status, operation.owner)].toReversed()];
      case 'setQuota':
        await tenants.update(this.#tenants[operation.tenant].tenantUuid, { quotaBytes: operation.bytes });
        model.quotas[operation.tenant] = operation.bytes;
        return ['set', 'set'];
      case 'rename': {
        const { tenantUuid } = this.#tenants[operation.tenant];
        const renamed = { tenantUuid, tenantSlug: `${tenantUuid}-${this.#turn}` };
        await tenants.update(tenantUuid, { tenantSlug: renamed.tenantSlug });
        this.#tenants[operation.tenant] = renamed;
        return ['renamed', 'renamed'];
      }
      case 'sweep':
        await files.sweep({ olderThanSeconds: 0 });
        model.sweep();
        return ['swept', 'swept'];
    }
  }

  #requestOf({
    tenant: name,
    owner,
    filename: called,
    isPublic,
  }: Fields): Pick<UploadFileRequest, 'filename' | 'ownerId' | 'isPublic' | 'tenantContext'> {
    return { filename: called, ownerId: owner, isPublic, tenantContext: this.#tenants[name] };
  }

  #accessOf({ role: as_, subject: name, tenant: of }: Caller): FileAccess {
    return { role: as_, subject: name, tenant: this.#tenants[of].tenantUuid };
  }

  async #list(files: Rig['files'], { caller: by, status, owner }: Extract<Operation, { do: 'list' }>): Promise<readonly number[]> {
    const found: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await files.list({ access: this.#accessOf(by), status, ownerId: owner, limit: 2, cursor });
      found.push(...page.files.map(({ id }) => this.#ids.indexOf(id)));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    return found;
  }
}

type Fields = Pick<ModelFile, 'tenant' | 'owner' | 'filename' | 'isPublic' | 'text'>;

function fieldsOf({ tenant: name, owner, filename: called, isPublic, text: bytes }: Fields): Fields {
  return { tenant: name, owner, filename: called, isPublic, text: bytes };
}

async function outcome<T, R>(call: Promise<T>, of: (result: T) => R | Promise<R>): Promise<R | string> {
  let result: T;
  try {
    result = await call;
  } catch (error) {
    return codeOf(Promise.reject(error as Error));
  }
  return of(result);
}

function shown(found: ModelFile | string): object | string {
  if (typeof found === 'string') return found;
  return { filename: found.filename, isPublic: found.isPublic, status: found.status, owner: found.owner };
}

const seen = ({ filename: called, isPublic, status, ownerId }: FileRecord): object => ({
  filename: called,
  isPublic,
  status,
  owner: ownerId,
});

async function read({ result }: OpenedFile): Promise<string> {
  if (result.kind !== 'object') return result.kind;
  return `bytes: ${(await readAll(result.body)).toString()}`;
}

it('files do what they would do in a model, whoever asks and whichever process answers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 40, size: 'max' }), async (operations) => {
      const sequence = await Sequence.begin();
      for (const each of operations) await sequence.perform(each);
      await sequence.end();
    }),
    { numRuns: 50, seed: 1, includeErrorInReport: true },
  );
});
