import type { ObjectAddress, PresignDownloadOptions, PresignedUpload } from '@coffer/storage-core';

import type { Connection } from '../http/connection.ts';
import { largestPut } from '../limits.ts';
import { presignedPut, signedHeaders } from '../presigner.ts';
import type { Presigner, UploadTerms } from '../presigner.ts';
import type { Settings } from '../settings.ts';
import { BucketEndpoints } from '../signing/bucket-endpoints.ts';
import type { BucketEndpoint } from '../signing/bucket-endpoints.ts';
import { algorithm, encodeKey, merged, namesOf, Signatures, unsignedPayload, uriEncode } from '../signing/signature.ts';
import type { Keys, Scope } from '../signing/signature.ts';

/**
 * Signs without the SDK, in a tenth of its time.
 * @param baseUrl that the URLs lead to; not necessarily that of the connection
 */
export function leanPresigner(
  baseUrl: string | undefined,
  settings: Settings,
  { credentials, clock, bucketEndpoints }: Connection,
): Presigner {
  const signatures = new Signatures();
  const scheme = new URL(baseUrl ?? 'https://aws').protocol;
  const endpoints = baseUrl === settings.endpoint ? bucketEndpoints : new BucketEndpoints({ ...settings, endpoint: baseUrl });

  /** Everything needed to sign for a bucket, in the region where it was last seen. */
  const signing = async (bucket: string): Promise<Signing> => {
    const keys = credentials.known ?? (await credentials.load());
    endpoints.learn(bucket, endpoints.of(bucket), bucketEndpoints.of(bucket).region);
    const endpoint = endpoints.of(bucket);
    const now = clock.now();
    const date = signatures.date(now);
    return { scheme, endpoint, keys, now, date, scope: signatures.scope(keys, endpoint.region, date) };
  };

  return {
    form: async (at, options) => formOf(await signing(at.bucket), at, options),
    putUrl: async (at, options) => putUrlOf(await signing(at.bucket), at, options),
    async getUrl(at, { contentDisposition, contentType, expiresIn, method = 'GET' }: PresignDownloadOptions) {
      const disposition = contentDisposition === undefined ? '' : `&response-content-disposition=${uriEncode(contentDisposition)}`;
      const type = contentType === undefined ? '' : `&response-content-type=${uriEncode(contentType)}`;
      return urlOf(await signing(at.bucket), at, { method, headers: [], expiresIn, query: disposition + type });
    },
  };
}

interface Signing {
  readonly scheme: string;
  readonly endpoint: BucketEndpoint;
  readonly keys: Keys;
  readonly now: number;
  readonly date: string;
  readonly scope: Scope;
}

interface Presignable {
  readonly method: 'GET' | 'HEAD' | 'PUT';
  /** Lower-case names, sorted, each followed by its value; without `host`. */
  readonly headers: readonly string[];
  readonly expiresIn: number;
  /** The end of the query, each parameter preceded by `&`. */
  readonly query: string;
}

function urlOf(
  { scheme, endpoint, keys, date, scope }: Signing,
  { key }: ObjectAddress,
  { method, headers, expiresIn, query }: Presignable,
): string {
  const path = endpoint.prefix + encodeKey(key);
  const signed = merged(headers, ['host', endpoint.host]);
  const token = keys.sessionToken === undefined ? '' : `&X-Amz-Security-Token=${uriEncode(keys.sessionToken)}`;
  const all =
    `X-Amz-Algorithm=${algorithm}&X-Amz-Credential=${uriEncode(scope.credential)}&X-Amz-Date=${date}&X-Amz-Expires=${expiresIn}` +
    `${token}&X-Amz-SignedHeaders=${uriEncode(namesOf(signed))}${query}`;
  const signature = scope.sign({ method, path, query: all, headers: signed, payloadHash: unsignedPayload }, date);
  return `${scheme}//${endpoint.host}${path}?${all}&X-Amz-Signature=${signature}`;
}

function putUrlOf(signing: Signing, at: ObjectAddress, options: UploadTerms): PresignedUpload {
  const { contentType, size, expiresIn } = options;
  const signed = {
    ...(size !== undefined && { 'content-length': String(size) }),
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...signedHeaders(options),
  };
  const url = urlOf(signing, at, { method: 'PUT', headers: Object.entries(signed).flat(), expiresIn, query: '' });
  return presignedPut(url, options);
}

function formOf(
  { scheme, endpoint, keys, now, date, scope }: Signing,
  { bucket, key }: ObjectAddress,
  options: UploadTerms,
): PresignedUpload {
  const { contentType, size, expiresIn, acl, storageClass } = options;
  const fields: Record<string, string> = {};
  let conditions = `["content-length-range",${size ?? 0},${size ?? largestPut}]`;
  const add = (name: string, value: string): void => {
    fields[name] = value;
    conditions += conditionOf(name, value);
  };
  if (contentType !== undefined) add('Content-Type', contentType);
  if (acl !== undefined) add('acl', acl);
  if (storageClass !== undefined) add('x-amz-storage-class', storageClass);
  // The bucket is in the URL and in the policy. Some servers compare a field of that name with neither.
  conditions += conditionOf('bucket', bucket);
  add('X-Amz-Algorithm', algorithm);
  add('X-Amz-Credential', scope.credential);
  add('X-Amz-Date', date);
  if (keys.sessionToken !== undefined) add('X-Amz-Security-Token', keys.sessionToken);
  add('key', key);
  const expiration = new Date(now + expiresIn * 1000).toISOString().slice(0, 'YYYY-MM-DDTHH:mm:ss'.length);
  const policy = Buffer.from(`{"expiration":"${expiration}Z","conditions":[${conditions}]}`).toString('base64');
  fields['Policy'] = policy;
  fields['X-Amz-Signature'] = scope.signText(policy);
  return {
    method: 'POST',
    url: `${scheme}//${endpoint.host}${endpoint.prefix === '/' ? '/' : endpoint.prefix.slice(0, -1)}`,
    fields,
    headers: {},
    expiresIn,
  };
}

/**
 * One condition of a policy, after another one. Written directly as text, which takes half the time of building objects only to serialize
 * them.
 */
function conditionOf(name: string, value: string): string {
  return `,{"${name}":${JSON.stringify(value)}}`;
}
