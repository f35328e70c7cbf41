import { storageError } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, PresignOperations } from '@coffer/storage-core';

import { call } from './call.ts';
import { assertKeyHolds } from './key-support.ts';
import { largestPut } from './limits.ts';
import type { UploadTerms } from './presigner.ts';
import type { Store } from './store.ts';
import { toldAcl } from './told-acl.ts';
import { assertWriteHolds } from './write-support.ts';

const longestExpiry = 604_800;

/** Servers replace `${filename}` with the name of the file, and some drop spaces at the ends of a field. */
function isPlainInForms(key: string): boolean {
  return !key.includes('${filename}') && !/^\s|\s$/.test(key);
}

export function presignOperations(store: Store): PresignOperations {
  const { connection } = store;
  const presigner = store.presigners.public;
  /** A signature lives no longer than the credentials that made it. */
  const expiryOf = async (asked: number): Promise<number> =>
    Math.max(1, Math.min(asked, longestExpiry, await connection.credentials.secondsLeft()));
  const takesForms = async ({ bucket }: ObjectAddress, { acl, size }: UploadTerms, ctx: CallContext): Promise<boolean> => {
    const profile = await store.endpoint.profileIfAllowed(bucket, ctx);
    if (profile?.postPolicy !== true) return false;
    return (profile.formAcl || acl === undefined) && (profile.emptyForms || size !== 0);
  };
  /** Not if the URL alone is enough for the upload: its holder would have to be told about the extra header. */
  const needsGuard = async ({ bucket }: ObjectAddress, terms: UploadTerms, ctx: CallContext): Promise<boolean> => {
    const hasHeaders = [terms.contentType, terms.acl, terms.storageClass].some((header) => header !== undefined);
    if (!hasHeaders) return false;
    const { presignedPuts = 'guarded' } = (await store.endpoint.profileIfAllowed(bucket, ctx)) ?? {};
    return presignedPuts === 'guarded';
  };
  return {
    async upload(at, options, ctx) {
      store.tenants.meet(ctx.tenant);
      if (options.size !== undefined && options.size > largestPut) {
        throw storageError('payload_too_large', 'A presigned upload can be at most 5 GiB.');
      }
      await assertWriteHolds(store, at, options, ctx);
      const { acl, ...others } = options;
      const told = { ...others, ...toldAcl(acl) };
      const isForm = options.method !== 'PUT' && isPlainInForms(at.key) && (await takesForms(at, told, ctx));
      const isGuarded = !isForm && (await needsGuard(at, told, ctx));
      return call({ ...at, permission: 's3:PutObject' }, ctx, async () => {
        const asked = { ...told, isGuarded, expiresIn: await expiryOf(options.expiresIn) };
        return isForm ? presigner.form(at, asked) : presigner.putUrl(at, asked);
      });
    },
    async download(at, options, ctx) {
      store.tenants.meet(ctx.tenant);
      await assertKeyHolds(store, at, ctx);
      return call({ ...at, permission: 's3:GetObject' }, ctx, async () => {
        const expiresIn = await expiryOf(options.expiresIn);
        return { url: await presigner.getUrl(at, { ...options, expiresIn }), expiresIn };
      });
    },
  };
}
