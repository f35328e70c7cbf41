import { describe, expect, it } from 'vitest';

import { toStorageError } from './errors.ts';

const about = { bucket: 'bucket', key: 'key', permission: 's3:GetObject' };

function answer(status: number, name = '', headers: Readonly<Record<string, string>> = {}): Error {
  const error = Object.assign(new Error('what the provider says'), { $metadata: { httpStatusCode: status } });
  error.name = name;
  Object.defineProperty(error, '$response', { value: { headers, body: { socket: 'with a signature' } } });
  return error;
}

describe('toStorageError', () => {
  it.each([
    [200, 'SyntaxError', 'storage_unavailable', true],
    [301, '', 'storage_unavailable', false],
    [307, 'TemporaryRedirect', 'storage_unavailable', false],
    [401, '', 'access_denied', false],
    [404, 'NoSuchKey', 'file_not_found', false],
    [404, 'NoSuchBucket', 'no_such_bucket', false],
    [404, '', 'file_not_found', false],
    [403, 'AccessDenied', 'access_denied', false],
    [503, 'AccessDenied', 'access_denied', false], // after a 200
    [403, 'InvalidObjectState', 'object_archived', false],
    [403, 'ObjectNotInActiveTierError', 'object_archived', false],
    [400, 'InvalidStorageClass', 'invalid_argument', false],
    [400, 'MetadataTooLarge', 'invalid_argument', false],
    [400, 'AccessControlListNotSupported', 'acl_not_supported', false],
    [400, 'InvalidBucketAclWithObjectOwnership', 'acl_not_supported', false],
    [400, 'InvalidBucketAclWithBlockPublicAccessError', 'access_denied', false],
    [400, 'MissingNamespaceHeader', 'invalid_bucket_name', false],
    [400, 'InvalidNamespaceHeader', 'invalid_bucket_name', false],
    [400, 'InvalidBucketNamespace', 'invalid_bucket_name', false],
    [400, 'TokenRefreshRequired', 'access_denied', false],
    [403, 'NotSignedUp', 'access_denied', false],
    [400, 'BadDigest', 'checksum_mismatch', false],
    [409, 'BucketAlreadyOwnedByYou', 'bucket_already_exists', false],
    [405, '', 'not_supported', false],
    [408, '', 'storage_unavailable', true],
    [409, '', 'storage_unavailable', true],
    [409, 'OperationAborted', 'storage_unavailable', true],
    [409, 'ObjectParentIsFile', 'invalid_key', false],
    [409, 'ExistingObjectIsDirectory', 'invalid_key', false],
    [409, 'ExistingObjectIsFile', 'invalid_key', false],
    [412, '', 'precondition_failed', false],
    [413, '', 'payload_too_large', false],
    [416, '', 'range_not_satisfiable', false],
    [429, '', 'storage_unavailable', true],
    [499, 'ClientDisconnected', 'storage_unavailable', true],
    [500, 'InternalError', 'storage_unavailable', true],
    [501, '', 'not_supported', false],
    [501, 'NotImplemented', 'not_supported', false],
    [502, '', 'storage_unavailable', true],
    [503, 'SlowDown', 'storage_unavailable', true],
    [507, 'XMinioStorageFull', 'storage_unavailable', false],
    [507, 'InsufficientStorage', 'storage_unavailable', false],
    [400, 'KMS.DisabledException', 'storage_unavailable', false],
    [400, 'CloudKmsDisabledKey', 'storage_unavailable', false],
    [404, 'kms:KeyNotFound', 'storage_unavailable', false], // of MinIO
    [400, 'kms:InvalidCiphertextException', 'storage_unavailable', false],
    [400, 'KeyTooLong', 'invalid_key', false],
    [409, 'BucketNameUnavailable', 'bucket_already_exists', false],
    [400, 'TooManyBuckets', 'storage_unavailable', false],
    [403, 'UserSuspended', 'access_denied', false],
    [409, 'InvalidBucketState', 'not_supported', false],
    [403, 'PathStyleDomainForbidden', 'storage_unavailable', false],
    [403, 'SecondLevelDomainForbidden', 'storage_unavailable', false],
  ])('takes %i %s for %s', (status, name, code, retryable) => {
    const error = toStorageError(answer(status, name), about);
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).not.toContain('what the provider says');
  });

  it.each(['NoSuchKey', ''])('takes a missing key for a missing bucket if the request had no key ("%s")', (name) => {
    const error = toStorageError(answer(404, name), { bucket: 'bucket', permission: 's3:DeleteBucket' });
    expect(error).toMatchObject({ code: 'no_such_bucket', message: 'There is no bucket "bucket".' });
  });

  it.each([
    ['the bucket "bucket"', about],
    ['this', { permission: 's3:ListAllMyBuckets' }],
  ])('says that %s is somewhere else, and what to do', (what, subject) => {
    const message = `The storage provider keeps ${what} in another region or zone group; use the endpoint of that one (STORAGE_S3_ENDPOINT).`;
    expect(toStorageError(answer(301, 'Unknown'), subject).message).toBe(message);
  });

  it('hints at the permission that may be missing', () => {
    expect(toStorageError(answer(403, 'AccessDenied'), { ...about, permission: 's3:PutObjectAcl' }).message).toContain('s3:PutObjectAcl');
  });

  it.each([
    [
      'because no identity-based policy allows the kms:GenerateDataKey action',
      'the credentials may lack the permission kms:GenerateDataKey.',
    ],
    [
      'with an explicit deny in a resource-based policy',
      'a policy denies kms:GenerateDataKey to these credentials, or to requests like this one.',
    ],
  ])('names what AWS refused: %s', (why, told) => {
    const user = 'User: arn:aws:iam::123456789012:user/who';
    const message = `${user} is not authorized to perform: kms:GenerateDataKey on resource: "arn:aws:kms:a:1:key/b" ${why}`;
    const error = toStorageError(Object.assign(answer(403, 'AccessDenied'), { message }), about);
    expect(error.message).toBe(`The storage provider refused; ${told}`);
  });

  it.each([
    [400, 'InvalidBucketAclWithBlockPublicAccessError', 'Bucket cannot have public ACLs set with BlockPublicAccess enabled'],
    [
      403,
      'AccessDenied',
      'User: arn:aws:iam::123456789012:user/who is not authorized to perform: s3:PutObjectAcl on resource: "arn:aws:s3:::bucket/key" because public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access.',
    ],
  ])('blames no permission for what AWS blocks for everybody: %i %s', (status, name, message) => {
    const error = toStorageError(Object.assign(answer(status, name), { message }), { ...about, permission: 's3:PutObjectAcl' });
    expect(error).toMatchObject({
      code: 'access_denied',
      message: 'The storage provider refused; S3 Block Public Access, of the bucket or the account, allows no public access control lists.',
    });
  });

  it.each(['TokenRefreshRequired', 'NotSignedUp'])('blames no permission for what is the matter with the account: %s', (name) => {
    expect(toStorageError(answer(403, name), about).message).not.toContain('permission');
  });

  it('blames nothing but the metadata if they are too large for the provider', () => {
    const { message } = toStorageError(answer(400, 'MetadataTooLarge'), about);
    expect(message).toContain('less metadata');
    expect(message).not.toContain('storage class');
  });

  it('blames nothing but the size of the parts if they are too small for the provider', () => {
    const { code, message } = toStorageError(answer(400, 'EntityTooSmall'), about);
    expect(code).toBe('invalid_argument'); // after which a copy by parts is made in one request
    expect(message).toContain('larger parts');
    expect(message).not.toContain('storage class');
  });

  it.each(['QuotaExceeded', 'XMinioAdminBucketQuotaExceeded'])('says that a quota is used up, not that the disks are full: %s', (name) => {
    const error = toStorageError(answer(403, name), about);
    expect(error).toMatchObject({ code: 'storage_unavailable', retryable: false });
    expect(error.message).toContain('quota');
  });

  it('reports the size of an object whose range does not exist, and when to retry', () => {
    expect(toStorageError(answer(416, 'InvalidRange', { 'content-range': 'bytes */10' }), about).objectSize).toBe(10);
    expect(toStorageError(answer(503, 'SlowDown', { 'retry-after': '7' }), about).retryAfter).toBe(7);
    const date = new Date(Date.now() + 30_000).toUTCString();
    expect(toStorageError(answer(503, 'SlowDown', { 'retry-after': date }), about).retryAfter).toBeOneOf([29, 30, 31]);
    for (const odd of ['soon', '-5', new Date(0).toUTCString()])
      expect(toStorageError(answer(503, 'SlowDown', { 'retry-after': odd }), about).retryAfter).toBe(1);
  });

  it('distinguishes timeouts while connecting, timeouts while waiting, and cut connections', () => {
    const failure = (name: string, message: string, code?: string): Error => Object.assign(new Error(message), { name }, code && { code });
    const codes = [
      failure('TimeoutError', 'the request socket did not establish a connection with the server'),
      failure('TimeoutError', 'the request socket timed out after 60 ms of inactivity'),
      failure('TimeoutError', 'read ECONNRESET', 'ECONNRESET'),
      failure('Error', 'write EPIPE', 'EPIPE'),
      failure('Error', 'connect ECONNREFUSED 127.0.0.1:9', 'ECONNREFUSED'),
      failure('Error', 'connect ETIMEDOUT 10.0.0.7:9000', 'ETIMEDOUT'),
      failure('Error', 'read ETIMEDOUT', 'ETIMEDOUT'),
    ].map((error) => toStorageError(error, about).code);
    const unavailable = 'storage_unavailable';
    expect(codes).toEqual(['connect_timeout', 'read_timeout', unavailable, unavailable, unavailable, 'connect_timeout', 'read_timeout']);
  });

  it('distinguishes a late credential provider from a late server', () => {
    const late = Object.assign(new Error('late'), { name: 'CredentialsTimeoutError' });
    const message = 'The credentials for the storage provider did not arrive in time.';
    expect(toStorageError(late, about)).toMatchObject({ code: 'read_timeout', message, retryable: true });
  });

  it('says how an SSO session that has ended is begun again', () => {
    const ended = Object.assign(new Error('ended'), { name: 'SsoSessionEndedError' });
    const message = expect.stringContaining('aws sso login') as string;
    expect(toStorageError(ended, about)).toMatchObject({ code: 'access_denied', message, retryable: false });
  });

  it('says why a connection could not be made, but not where to', () => {
    const messageOf = (code: string): string =>
      toStorageError(Object.assign(new Error(`connect ${code} 10.0.0.7:9000`), { code }), about).message;
    const codes = [
      'ECONNREFUSED',
      'ENOTFOUND',
      'EAI_AGAIN',
      'EAI_FAIL',
      'EADDRNOTAVAIL',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'EMFILE',
      'ENFILE',
      'ECONNRESET',
    ];
    expect(new Set(codes.map(messageOf)).size).toBe(codes.length);
    expect(messageOf('ENOTFOUND')).toContain('no host of the name in its endpoint');
    expect(codes.map(messageOf).join(' ')).not.toContain('10.0.0.7');
  });

  it.each(['EACCES', 'EINVAL', 'EPERM'])('takes a connection that this machine refuses to make with %s for a failed one', (code) => {
    const refused = Object.assign(new Error(`connect ${code} 10.0.0.7:9000`), { code, syscall: 'connect' });
    expect(toStorageError(refused, about)).toMatchObject({ code: 'storage_unavailable', retryable: true });
  });

  it.each([
    ['ETIMEDOUT', 'connect_timeout'],
    ['ECONNREFUSED', 'storage_unavailable'],
    ['EACCES', 'storage_unavailable'],
  ])('takes %s of the first of several addresses for a failure of all of them', (first, code) => {
    const all = Object.assign(new AggregateError([new Error(first), new Error('connect ECONNREFUSED')]), { code: first });
    expect(toStorageError(all, about)).toMatchObject({ code, retryable: true });
  });

  it.each([
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'NODE_EXTRA_CA_CERTS'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'NODE_EXTRA_CA_CERTS'],
    ['CERT_HAS_EXPIRED', 'expired'],
    ['CERT_NOT_YET_VALID', 'not valid yet'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'other hosts'],
    ['CERT_REVOKED', 'certificate is not trusted.'],
  ])('tells why a certificate is not trusted (%s)', (code, told) => {
    const error = toStorageError(Object.assign(new Error('certificate'), { code }), about);
    expect(error).toMatchObject({ code: 'storage_unavailable', retryable: false });
    expect(error.message).toContain(told);
  });

  it('takes damage detected while writing a request for a failed connection', () => {
    const text = 'write EPROTO 40A3:error:0A000119:SSL routines:tls_get_more_records:decryption failed or bad record mac:';
    const error = toStorageError(Object.assign(new Error(text), { code: 'EPROTO', syscall: 'write' }), about);
    expect(error).toMatchObject({ code: 'storage_unavailable', retryable: true });
    expect(error.message).not.toContain('TLS');
  });

  it.each([
    ['EPROTO', 'write EPROTO 40A3:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', '40A3:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:'],
  ])('reports a refusal of TLS with %s as such, not as missing TLS or a lack of trust', (code, text) => {
    const error = toStorageError(Object.assign(new Error(text), { code }), about);
    expect(error).toMatchObject({ code: 'storage_unavailable', retryable: false });
    expect(error.message).toContain('refuses the TLS connection');
  });

  it('distinguishes an endpoint without TLS from an untrusted one', () => {
    const plain = Object.assign(new Error('wrong version number'), { code: 'EPROTO' });
    expect(toStorageError(plain, about)).toMatchObject({
      code: 'storage_unavailable',
      retryable: false,
      message: expect.stringMatching(/http:\/\//) as string,
    });
    const untrusted = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(toStorageError(untrusted, about)).toMatchObject({ code: 'storage_unavailable', retryable: false });
    expect(toStorageError(answer(403), about).message).toContain('wrong keys');
    expect(toStorageError(answer(403, 'AccessDenied'), about).message).not.toContain('wrong keys');
  });

  it.each(['PathStyleDomainForbidden', 'SecondLevelDomainForbidden'])('names the option that the provider insists on (%s)', (name) => {
    expect(toStorageError(answer(403, name), about).message).toContain('STORAGE_S3_FORCE_PATH_STYLE=false');
  });

  it('names everything that may cause a signature mismatch', () => {
    expect(toStorageError(answer(403, 'SignatureDoesNotMatch'), about)).toMatchObject({
      code: 'access_denied',
      message: expect.stringMatching(/secret key.*proxy.*host/),
    });
  });

  it('accepts any thrown value', () => {
    for (const odd of [new DOMException('stopped', 'AbortError'), new Error('odd'), {}])
      expect(toStorageError(odd, about)).toMatchObject({ code: 'internal_error', cause: odd });
  });

  it('keeps the cause, but not what leads to the request', () => {
    const cause = answer(503, 'SlowDown');
    const error = toStorageError(cause, about);
    expect(error.cause).toBe(cause);
    expect(JSON.stringify((cause as unknown as { $response: unknown }).$response)).not.toContain('signature');
  });
});
