import { storageError } from '@coffer/storage-core';
import type { CallContext, ObjectAddress, PresignOperations } from '@coffer/storage-core';

import { aclHeader } from './acl-header.ts';
import { call } from './call.ts';
import { assertKeySupported } from './key-support.ts';
import { largestPut } from './limits.ts';
import type { UploadTerms } from './presigner.ts';
import type { Store } from './store.ts';
import { assertWriteSupported } from './write-support.ts';

const longestExpiry = 604_800;

/** Servers replace `${filename}` with the name of the file, and some drop spaces at the ends of a field. */
function isPlainInForms(key: string): boolean {
  return !key.includes('${filename}') && !/^\s|\s$/.test(key);
}

export function presignOperations(store: Store): PresignOperations {
  const { connection } = store;
  const presigner = store.presigners.public;
  /** A signature lives no longer than the credentials that made it. */
  const expiryOf = async (requested: number): Promise<number> =>
    Math.max(1, Math.min(requested, longestExpiry, await connection.credentials.secondsLeft()));
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
      store.tenants.note(ctx.tenant);
      if (options.size !== undefined && options.size > largestPut) {
        throw storageError('payload_too_large', 'A presigned upload can be at most 5 GiB.');
      }
      await assertWriteSupported(store, at, options, ctx);
      const { acl, ...others } = options;
      const terms = { ...others, ...aclHeader(acl) };
      const isForm = options.method !== 'PUT' && isPlainInForms(at.key) && (await takesForms(at, terms, ctx));
      const isGuarded = !isForm && (await needsGuard(at, terms, ctx));
      return call({ ...at, permission: 's3:PutObject' }, ctx, async () => {
        const request = { ...terms, isGuarded, expiresIn: await expiryOf(options.expiresIn) };
        return isForm ? presigner.form(at, request) : presigner.putUrl(at, request);
      });
    },
    async download(at, options, ctx) {
      store.tenants.note(ctx.tenant);
      await assertKeySupported(store, at, ctx);
      return call({ ...at, permission: 's3:GetObject' }, ctx, async () => {
        const expiresIn = await expiryOf(options.expiresIn);
        return { url: await presigner.getUrl(at, { ...options, expiresIn }), expiresIn };
      });
    },
  };
}
