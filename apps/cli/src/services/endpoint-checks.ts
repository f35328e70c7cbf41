import type { profileEndpoint } from '@coffer/runtime';

import { notTriedMessage } from './check-result.ts';
import type { Check } from './check-result.ts';

type Profile = NonNullable<Awaited<ReturnType<typeof profileEndpoint>>>;

/** What an S3 endpoint supports, and what Coffer does where it does not. */
export function endpointChecks(profile: Profile): readonly Check[] {
  const { region, putMatch, verifiedSums, refusedKeys, hidesKeysBelowObjects } = profile;
  const ability = (name: string, has: boolean | undefined, yes: string, no: string): Check =>
    has === undefined
      ? { name, status: 'unknown', message: notTriedMessage }
      : { name, status: has ? 'ok' : 'lacks', message: has ? yes : no };
  return [
    region === undefined
      ? { name: 'region', status: 'unknown', message: 'the endpoint reports none' }
      : { name: 'region', status: 'ok', message: `new buckets are created in ${region}` },
    ability(
      'signatures',
      profile.checksSignatures,
      'refuses unsigned writes',
      'accepts unsigned writes: whoever reaches it can write any object, if need be with the access key, which presigned URLs name',
    ),
    ability(
      'acl',
      profile.acl,
      'canned ACLs take effect',
      profile.aclDenied
        ? 'the credentials may not set ACLs: writes with an ACL other than private are refused with access_denied'
        : 'no ACLs: writes with an ACL other than private are refused with acl_not_supported, and ACLs cannot be read or changed',
    ),
    ability('post_policy', profile.postPolicy, 'accepts forms with a signed policy', 'no forms: presigned uploads use PUT'),
    {
      name: 'presigned_puts',
      status: profile.presignedPuts === 'bound' ? 'ok' : 'lacks',
      message: putMessages[profile.presignedPuts],
    },
    ...(profile.acl && profile.postPolicy
      ? [
          ability(
            'form_acl',
            profile.formAcl,
            'the canned ACL of a form takes effect',
            'forms ignore ACLs: presigned uploads with an ACL use PUT',
          ),
        ]
      : []),
    ...(profile.postPolicy && !profile.emptyForms
      ? [
          {
            name: 'empty_forms',
            status: 'lacks' as const,
            message: 'forms cannot be limited to an empty object: presigned uploads of empty objects use PUT',
          },
        ]
      : []),
    ability(
      'conditional_put',
      profile.conditionalPut,
      'PutObject enforces If-None-Match',
      'PutObject does not enforce If-None-Match: writes with it are refused with not_supported',
    ),
    ...(profile.versioning === false
      ? []
      : [
          ability(
            'conditional_versions',
            profile.conditionalPutOfVersions,
            'PutObject also enforces it in buckets that keep versions',
            'PutObject does not enforce it in buckets that keep versions: such writes are refused there with not_supported',
          ),
        ]),
    ability(
      'match_put',
      putMatch !== false,
      `PutObject enforces If-Match${putMatch === 'bare' ? ', of an ETag without quotes' : ''}`,
      'PutObject does not enforce If-Match: writes with it are refused with not_supported',
    ),
    ability(
      'conditional_complete',
      profile.conditionalComplete,
      'CompleteMultipartUpload enforces conditions',
      'CompleteMultipartUpload does not enforce conditions: conditional uploads of large objects use one PutObject; those of unknown size are refused with not_supported',
    ),
    ability(
      'conditional_copy',
      profile.conditionalCopy,
      'CopyObject enforces If-None-Match',
      `CopyObject does not enforce If-None-Match: ${profile.conditionalPut ? 'conditional copies of small objects pass through Coffer' : 'conditional copies look at the destination first, which leaves a moment between'}`,
    ),
    ability(
      'copy_source_condition',
      profile.copySourceCondition,
      'CopyObject enforces conditions on its source',
      'CopyObject does not enforce conditions on its source: Coffer checks what was copied',
    ),
    ability(
      'conditional_delete',
      profile.conditionalDelete,
      'DeleteObject enforces If-Match',
      'DeleteObject does not enforce If-Match: conditional deletes look first, and what is written to the source of a move meanwhile is deleted too',
    ),
    {
      name: 'checksums',
      status: isComplete(verifiedSums) ? 'ok' : 'lacks',
      message: isComplete(verifiedSums)
        ? `verifies ${sumNames(verifiedSums)}`
        : `verifies ${verifiedSums.length === 0 ? 'no checksum' : `${sumNames(verifiedSums)} only`}: Coffer verifies the checksums that clients declare`,
    },
    ability('versioning', profile.versioning, 'buckets can keep versions', 'buckets keep no versions (not_supported)'),
    ability('lifecycle', profile.lifecycle, 'buckets have lifecycle rules', 'buckets have no lifecycle rules (not_supported)'),
    ability(
      'abort_rule',
      profile.abortRule,
      'rules abort stale multipart uploads',
      'no rule aborts stale multipart uploads: "sweep" aborts them, and so does the server every hour',
    ),
    ability(
      'cors',
      profile.cors,
      'buckets have CORS rules of their own',
      'no CORS rules: STORAGE_CORS_ORIGINS has no effect on buckets; the server has one setting for all of them',
    ),
    ability(
      'metadata_names',
      profile.keepsUnderscores,
      'metadata names keep "_"',
      'metadata names lose "_": Coffer writes them in another form',
    ),
    ability(
      'metadata_values',
      profile.keepsEmptyValues,
      'metadata values may be empty',
      'metadata with an empty value is lost: Coffer writes it in another form',
    ),
    ability(
      'storage_classes',
      profile.storageClasses,
      'storage classes of writes are kept or refused',
      'no storage class but STANDARD: writes with another one are refused with not_supported',
    ),
    ability(
      'full_buckets',
      profile.keepsFullBuckets,
      'refuses to delete buckets that hold objects',
      'deletes buckets with everything in them: Coffer checks first',
    ),
    ability(
      'nested_keys',
      !hidesKeysBelowObjects,
      'lists "x/y" beside "x"',
      '"x" beside "x/y" is refused, or hides "x/y" from lists: a hidden object can still be read, and is listed again once "x" is gone',
    ),
    ability(
      'keys',
      refusedKeys.length === 0,
      'keeps all keys apart',
      `does not keep all keys apart: keys with ${refusedKeys.join(', ')} are refused with invalid_key`,
    ),
  ];
}

const copies = 'can copy any object that the credentials may read';
const putMessages = {
  bound: 'presigned PUTs write only the bytes that are sent',
  guarded: `presigned PUTs that need no header ${copies}; where other headers have to be sent, Coffer signs two more that prevent it`,
  open: `presigned PUTs ${copies}`,
} as const;

const sumHeaders = { md5: 'Content-MD5', crc32: 'x-amz-checksum-crc32', sha256: 'x-amz-checksum-sha256' } as const;

function isComplete(verified: Profile['verifiedSums']): boolean {
  return verified.length === Object.keys(sumHeaders).length;
}

function sumNames(verified: Profile['verifiedSums']): string {
  return verified.map((name) => sumHeaders[name]).join(', ');
}
