import { isIP } from 'node:net';

import type { Settings } from '../settings.ts';
import { uriEncode } from './signature.ts';

/** Where the objects of a bucket are reached. */
export interface BucketEndpoint {
  readonly region: string;
  readonly hostname: string;
  readonly port: number;
  /** The Host header. */
  readonly host: string;
  /** The part of the path before a key. */
  readonly prefix: string;
}

/** Limits how many buckets are remembered. */
const maxEndpoints = 10_000;

/** Where buckets are located. A server may reveal that only to a request at the wrong place. */
export class BucketEndpoints {
  readonly #settings: Settings;
  readonly #endpoints = new Map<string, BucketEndpoint>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Without a bucket: the place for requests about the account. */
  of(bucket = ''): BucketEndpoint {
    return this.#endpoints.get(bucket) ?? this.#remember(bucket, this.#settings.region);
  }

  /** Without a bucket: for requests about the account. @returns whether it is in another region than `used` */
  learn(bucket = '', used: BucketEndpoint, region: string | undefined): boolean {
    if (region === undefined || region === used.region || !isRegion(region)) return false;
    this.#remember(bucket, region);
    return true;
  }

  #remember(bucket: string, region: string): BucketEndpoint {
    if (this.#endpoints.size >= maxEndpoints) this.#endpoints.clear();
    const endpoint = endpointOf(this.#settings, bucket, region);
    this.#endpoints.set(bucket, endpoint);
    return endpoint;
  }
}

function endpointOf({ endpoint, forcePathStyle, isAws, region: configured }: Settings, bucket: string, region: string): BucketEndpoint {
  const url = new URL(endpoint ?? `https://${awsHost(region)}`);
  if (isAws && region !== configured) url.hostname = inRegion(url.hostname, region);
  const isHosted = !forcePathStyle && isIP(withoutBrackets(url.hostname)) === 0 && isHostable(bucket);
  if (isHosted) url.hostname = `${bucket}.${url.hostname}`;
  const base = url.pathname.replace(/\/+$/, '');
  return {
    region,
    hostname: withoutBrackets(url.hostname),
    port: Number(url.port) || (url.protocol === 'http:' ? 80 : 443),
    host: url.host,
    prefix: isHosted || bucket === '' ? `${base}/` : `${base}/${uriEncode(bucket)}/`,
  };
}

/** The host of AWS for another region, of the same kind. Endpoints of a private network serve every region that they reach. */
function inRegion(host: string, region: string): string {
  if (plainHost.test(host)) return awsHost(region); // regions from 2019 on have no host with a dash
  return /^s3[.-]/.test(host) ? host.replace(regionalHost, (found, own: string) => found.replace(own, region)) : host;
}

/** The region becomes part of a host name and of a header, so it may contain nothing else. */
export function isRegion(text: string): boolean {
  return /^[\w-]{1,63}$/.test(text);
}

/** A certificate for `*.host` does not cover names with further dots. */
function isHostable(bucket: string): boolean {
  return /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket);
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

const globalHost = 's3.amazonaws.com';
/** `s3-external-1` is an older name of the first region. */
const plainHost = /^s3(?:[.-](?:[a-z]+-){2,3}\d+|-external-1)?\.amazonaws\./;
const regionalHost = /[.-]((?:[a-z]+-){2,3}\d+)\.amazonaws\.(?:com(?:\.cn)?|eu)$/;

/** An endpoint as it is; if it is the global one of AWS, that of the region: it belongs to the first one, and does not find new buckets of others. */
export function placedIn(region: string, endpoint: string | undefined): string | undefined {
  if (endpoint === undefined || region === 'us-east-1') return endpoint;
  const { protocol, host } = new URL(endpoint);
  return host === globalHost ? `${protocol}//${awsHost(region)}` : endpoint;
}

const domains: readonly [string, string][] = [
  ['cn-', 'amazonaws.com.cn'],
  ['us-iso-', 'c2s.ic.gov'],
  ['us-isob-', 'sc2s.sgov.gov'],
  ['eu-isoe-', 'cloud.adc-e.uk'],
  ['us-isof-', 'csp.hci.ic.gov'],
  ['eusc-', 'amazonaws.eu'],
];

function awsHost(region: string): string {
  const [, domain = 'amazonaws.com'] = domains.find(([prefix]) => region.startsWith(prefix)) ?? [];
  return `s3.${region}.${domain}`;
}
