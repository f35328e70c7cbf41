import type { profileEndpoint } from '@coffer/runtime';

import type { Check } from './check.ts';

type Profile = NonNullable<Awaited<ReturnType<typeof profileEndpoint>>>;

export const untried = 'not tried out: the credentials may not make a bucket for it';

/** What an S3 endpoint can do, and what Coffer does where it cannot. */
export function endpointChecks(profile: Profile): readonly Check[] {
  const { region, putMatch, verifiedSums, refusedKeys, hidesKeysBelowObjects } = profile;
  const ability = (name: string, has: boolean | undefined, yes: string, no: string): Check =>
    has === undefined ? { name, status: 'unknown', message: untried } : { name, status: has ? 'ok' : 'lacks', message: has ? yes : no };
  return [
    region === undefined
      ? { name: 'region', status: 'unknown', message: 'the endpoint tells none' }
      : { name: 'region', status: 'ok', message: `new buckets lie in ${region}` },
    ability(
      'signatures',
      profile.checksSignatures,
      'refuses writes that nobody has signed',
      'takes writes that nobody has signed: who has seen a presigned URL, which names the access key, can write any object',
    ),
    ability(
      'acl',
      profile.acl,
      'canned ACLs take effect',
      'no ACLs: on a write every one but private is refused with acl_not_supported, and none can be read or changed',
    ),
    ability('post_policy', profile.postPolicy, 'takes forms with a signed policy', 'no forms: presigned uploads are PUT'),
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
            'forms ignore ACLs: presigned uploads with one are PUT',
          ),
        ]
      : []),
    ...(profile.postPolicy && !profile.emptyForms
      ? [
          {
            name: 'empty_forms',
            status: 'lacks' as const,
            message: 'forms cannot be limited to an empty object: presigned uploads of one are PUT',
          },
        ]
      : []),
    ability(
      'conditional_put',
      profile.conditionalPut,
      'PutObject enforces If-None-Match',
      'PutObject ignores If-None-Match: writes with that are refused with not_supported',
    ),
    ability(
      'conditional_versions',
      profile.conditionalPutOfVersions,
      'PutObject enforces it in buckets that keep versions, too',
      'PutObject ignores it in buckets that keep versions: there, such writes are refused with not_supported',
    ),
    ability(
      'match_put',
      putMatch !== false,
      `PutObject enforces If-Match${putMatch === 'bare' ? ', of an ETag without quotes' : ''}`,
      'PutObject ignores If-Match: writes with that are refused with not_supported',
    ),
    ability(
      'conditional_complete',
      profile.conditionalComplete,
      'CompleteMultipartUpload enforces conditions',
      'CompleteMultipartUpload ignores conditions: large objects under a condition are sent by one PutObject, those of unknown size refused with not_supported',
    ),
    ability(
      'conditional_copy',
      profile.conditionalCopy,
      'CopyObject enforces If-None-Match',
      'CopyObject does not keep to If-None-Match: conditional copies of small objects pass through Coffer',
    ),
    ability(
      'copy_source_condition',
      profile.copySourceCondition,
      'CopyObject enforces conditions on its source',
      'CopyObject ignores conditions on its source: Coffer compares what it copied',
    ),
    {
      name: 'checksums',
      status: isComplete(verifiedSums) ? 'ok' : 'lacks',
      message: isComplete(verifiedSums)
        ? `verifies ${sumNames(verifiedSums)}`
        : `verifies ${verifiedSums.length === 0 ? 'no checksum' : `${sumNames(verifiedSums)} alone`}: Coffer verifies on the way what clients declare`,
    },
    ability('versioning', profile.versioning, 'buckets can keep versions', 'buckets keep no versions (not_supported)'),
    ability('lifecycle', profile.lifecycle, 'buckets have lifecycle rules', 'buckets have no lifecycle rules (not_supported)'),
    ability(
      'abort_rule',
      profile.abortRule,
      'rules abort stale multipart uploads',
      'no rule aborts stale multipart uploads: "sweep" does, as the server does every hour',
    ),
    ability(
      'cors',
      profile.cors,
      'buckets have CORS rules of their own',
      'no CORS rules: STORAGE_CORS_ORIGINS has no effect on buckets, the server has one setting for all',
    ),
    ability(
      'metadata_names',
      profile.keepsUnderscores,
      'names of metadata keep "_"',
      'names of metadata lose "_": Coffer writes them in another way',
    ),
    ability(
      'metadata_values',
      profile.keepsEmptyValues,
      'metadata may be without a value',
      'metadata without a value is forgotten: Coffer writes it in another way',
    ),
    ability(
      'storage_classes',
      profile.storageClasses,
      'storage classes of writes are kept, or refused',
      'no storage classes but STANDARD: writes with another are refused with not_supported',
    ),
    ability(
      'full_buckets',
      profile.keepsFullBuckets,
      'refuses to delete buckets that hold objects',
      'deletes buckets with all that lies in them: Coffer looks first',
    ),
    ability(
      'nested_keys',
      !hidesKeysBelowObjects,
      'lists "x/y" beside "x"',
      '"x" beside "x/y" is refused, or hides "x/y" from lists: then it can be read, and is listed once "x" is gone',
    ),
    ability(
      'keys',
      refusedKeys.length === 0,
      'keeps every key apart from others',
      `does not keep every key apart: keys with ${refusedKeys.join(', ')} are refused with invalid_key`,
    ),
  ];
}

const copies = 'have any object copied that the credentials may read';
const putMessages = {
  bound: 'presigned PUTs take bytes alone',
  guarded: `presigned PUTs that need no header ${copies}; Coffer signs two against that where others have to be sent`,
  open: `presigned PUTs ${copies}`,
} as const;

const sumHeaders = { md5: 'Content-MD5', crc32: 'x-amz-checksum-crc32', sha256: 'x-amz-checksum-sha256' } as const;

function isComplete(verified: Profile['verifiedSums']): boolean {
  return verified.length === Object.keys(sumHeaders).length;
}

function sumNames(verified: Profile['verifiedSums']): string {
  return verified.map((name) => sumHeaders[name]).join(', ');
}
