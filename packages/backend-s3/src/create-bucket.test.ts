import { startGateway } from '@coffer/fixtures';
import { noContext, readAll } from '@coffer/storage-core';
import type { CannedAcl } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { createBucket } from './create-bucket.ts';
import { AnswerError } from './documents/answer-error.ts';
import { toStorageError } from './errors.ts';
import { openStore } from './open-store.ts';
import { transports } from './testing/fault-bench.ts';
import { errorDocument } from './testing/front.ts';
import { newStage } from './testing/lean.ts';
import { answering, ok, refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, backendTo, open, clear } = newStage();
afterEach(clear);

describe.each(transports)('creating a bucket that already belongs to us (%s)', (transport) => {
  const created = async (...answers: readonly Answer[]): Promise<unknown> => {
    const left = [...answers];
    const server = await serve((request, response) => {
      if (request.method === 'PUT') return left.shift()!(request, response);
      return refusal(404, '')(request, response); // not there when it was looked for
    });
    return backendTo(server, { transport, maxRetries: 1 }).buckets?.create('bucket', {}, noContext);
  };
  const ours = refusal(409, 'BucketAlreadyOwnedByYou');

  it('fails with bucket_already_exists', async () => {
    await expect(created(ours)).rejects.toMatchObject({ code: 'bucket_already_exists' });
  });

  it('succeeds if an earlier attempt created it and its answer got lost', async () => {
    const lost: Answer = (request) => request.socket.destroy();
    expect(await created(lost, ours)).toMatchObject({ name: 'bucket' });
  });
});

describe.each(transports)('creating a bucket that we may not look into (%s)', (transport) => {
  /** @returns the methods of the requests about the bucket, and the outcome, on a server that creates it twice, as AWS does */
  const asked = async (owned: Answer): Promise<readonly unknown[]> => {
    const methods: (string | undefined)[] = [];
    const server = await serve((request, response) => {
      if (request.url?.startsWith('/bucket') !== true) return owned(request, response);
      methods.push(request.method);
      return (request.method === 'PUT' ? ok : refusal(403, ''))(request, response);
    });
    const creating = backendTo(server, { transport, maxRetries: 0 }).buckets?.create('bucket', { region: 'us-east-1' }, noContext);
    const ended: unknown = await creating?.then(
      () => 'created',
      (error: unknown) => (error as { code: unknown }).code,
    );
    return [...methods.slice(0, 2), ended]; // what follows asks for its region
  };
  const list = (name: string): Answer =>
    answering(`<ListAllMyBucketsResult><Buckets><Bucket><Name>${name}</Name></Bucket></Buckets></ListAllMyBucketsResult>`);

  it.each([
    ['is not asked for again if it is ours: AWS would reset its ACL', list('bucket'), ['HEAD', 'bucket_already_exists']],
    ['is asked for if it is not ours', list('bucket-2'), ['HEAD', 'PUT', 'created']],
    ['is asked for if we may not know what is ours', refusal(403, 'AccessDenied'), ['HEAD', 'PUT', 'created']],
  ])('%s', async (_what, owned, told) => expect(await asked(owned)).toEqual(told));
});

describe.each(transports)('an account that has as many buckets as it may have (%s)', (transport) => {
  it('is told to the operator, on a real server', async () => {
    const gateway = await startGateway();
    open.push(() => gateway.stop());
    const backend = s3Backend({ endpoint: gateway.endpoint, ...(await gateway.newUser(1)), transport });
    open.push(() => backend.close());
    await backend.buckets?.create(`first-${transport}`, {}, noContext);
    const message = 'The storage provider allows this account no further bucket; raise the limit of the account.';
    const second = backend.buckets?.create(`second-${transport}`, {}, noContext);
    await expect(second).rejects.toMatchObject({ code: 'storage_unavailable', retryable: false, message });
  });
});

describe.each(transports)('the LocationConstraint of a new bucket (%s)', (transport) => {
  interface NewBucketCase {
    readonly configured?: string;
    readonly region?: string;
    readonly acl?: CannedAcl;
    readonly isAws?: boolean;
  }
  /** @returns the place (and ACL) of each request, and the outcome, on a server that refuses all requests with a place or an ACL */
  const placesAskedFor = async (
    code: string,
    { configured = 'us-east-1', isAws = false, ...options }: NewBucketCase,
  ): Promise<readonly unknown[]> => {
    const requests: string[] = [];
    const server = await serve(async (request, response) => {
      const [, place = 'nowhere'] = /<LocationConstraint>(.*)<\/LocationConstraint>/.exec((await readAll(request)).toString()) ?? [];
      const acl = request.headers['x-amz-acl'];
      requests.push(acl === undefined ? place : `${place}, ${String(acl)}`);
      if (place === 'nowhere' && acl === undefined) response.end();
      else response.writeHead(code === 'NotImplemented' ? 501 : 400).end(errorDocument(code));
    });
    const store = openStore({ endpoint: server.endpoint, accessKey: 'a', secretKey: 'b', maxRetries: 0, transport, region: configured });
    open.push(() => store.connection.close());
    const creating = createBucket({ ...store, settings: { ...store.settings, isAws } }, 'bucket', options, noContext);
    const ended: unknown = await creating.then(
      () => 'created',
      (error: unknown) => (error as { code: unknown }).code,
    );
    return [...requests, ended];
  };

  it.each<[string, string, NewBucketCase, readonly string[]]>([
    ['has no name in the first region', '', {}, ['nowhere', 'created']],
    ['has none where that is asked for', '', { configured: 'eu-west-1', region: 'us-east-1' }, ['nowhere', 'created']],
    ['is the only one there is', 'InvalidLocationConstraint', { configured: 'eu-west-1' }, ['eu-west-1', 'nowhere', 'created']],
    ['is so by any name of the error', 'InvalidRegion', { configured: 'eu-west-1' }, ['eu-west-1', 'nowhere', 'created']],
    ['is no other than AWS has', 'InvalidLocationConstraint', { configured: 'eu-west-9', isAws: true }, ['eu-west-9', 'invalid_argument']],
    ['is no other than was asked for', 'InvalidLocationConstraint', { region: 'mars-1' }, ['mars-1', 'invalid_argument']],
    ['is not to blame for other errors', 'InvalidArgument', { configured: 'eu-west-1' }, ['eu-west-1', 'invalid_argument']],
    ['is not to blame for an ACL', 'NotImplemented', { acl: 'aws-exec-read' }, ['nowhere, aws-exec-read', 'invalid_argument']],
  ])('%s', async (_what, code, options, told) => expect(await placesAskedFor(code, options)).toEqual(told));
});

describe.each(transports)('the namespace of a new bucket (%s)', (transport) => {
  const ofAccount = 'acme-123456789012-eu-west-1-an';

  it.each([
    ['is that of the account and region in its name', ofAccount, true, 'account-regional'],
    ['is so in every partition', 'acme-123456789012-eusc-de-east-1-an', true, 'account-regional'],
    ['is not named otherwise', 'acme-an', true, undefined],
    ['is not named to other servers', ofAccount, false, undefined],
  ])('%s', async (_what, bucket, isAws, namespace) => {
    const server = await serve(ok);
    const store = openStore({ endpoint: server.endpoint, accessKey: 'a', secretKey: 'b', transport });
    open.push(() => store.connection.close());
    await createBucket({ ...store, settings: { ...store.settings, isAws } }, bucket, {}, noContext);
    expect(server.requests.map(({ headers }) => headers['x-amz-bucket-namespace'])).toEqual([namespace]);
  });
});

describe('a new bucket of AWS', () => {
  /** @returns the hosts that were asked, where the bucket is looked for afterwards, and the outcome */
  const asked = async (region: string, configured: string): Promise<readonly unknown[]> => {
    const store = openStore({ accessKey: 'who', secretKey: 'secret', region: configured });
    open.push(() => store.connection.close());
    const host = (): string => store.connection.bucketEndpoints.of('bucket').host.replace(/^bucket\.s3\.|\.amazonaws\.com$/g, '');
    const hosts: string[] = [];
    const administration = {
      ...store.administration,
      async createBucket() {
        hosts.push(host());
        const about = { bucket: 'bucket', permission: 's3:CreateBucket' };
        if (host() === 'mars-1') throw toStorageError(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }), about);
        const error = new AnswerError(400, {}, errorDocument('IllegalLocationConstraintException'));
        if (host() !== 'us-east-1' && host() !== region) throw toStorageError(error, about);
      },
    };
    const ended: unknown = await createBucket({ ...store, administration }, 'bucket', { region }, noContext).then(
      () => 'created',
      (error: unknown) => (error as { code: unknown }).code,
    );
    return [...hosts, `then ${host()}`, ended];
  };

  it.each([
    ['eu-west-1', 'us-east-1', ['us-east-1', 'then us-east-1', 'created']],
    ['us-east-1', 'eu-west-1', ['eu-west-1', 'us-east-1', 'then us-east-1', 'created']],
    ['ap-south-1', 'eu-west-1', ['eu-west-1', 'ap-south-1', 'then ap-south-1', 'created']],
    ['mars-1', 'eu-west-1', ['eu-west-1', 'mars-1', 'then eu-west-1', 'invalid_argument']],
  ])(
    'is asked for where it is to be, if the configured region cannot create it there: in %s, from %s',
    async (region, configured, told) => {
      expect(await asked(region, configured)).toEqual(told);
    },
  );

  it('fails as its region does, if that exists', async () => {
    const store = openStore({ accessKey: 'who', secretKey: 'secret', region: 'eu-west-1' });
    open.push(() => store.connection.close());
    const refused = new AnswerError(400, {}, errorDocument('IllegalLocationConstraintException'));
    const creating = (error: unknown): Promise<void> => {
      const errors = [toStorageError(refused, { permission: 's3:CreateBucket' }), error];
      const administration = { ...store.administration, createBucket: () => Promise.reject(errors.shift() as Error) };
      return createBucket({ ...store, administration }, 'bucket', { region: 'ap-south-1' }, noContext);
    };
    const silence = Object.assign(new Error('silence'), { name: 'TimeoutError' });
    await expect(creating(toStorageError(silence, { permission: '' }))).rejects.toMatchObject({ code: 'read_timeout' });
    const reason = new Error('the caller has left');
    await expect(creating(reason)).rejects.toBe(reason);
  });
});
