import { isIP } from 'node:net';

import type { Settings } from '../settings.ts';
import { uriEncode } from './signature.ts';

/** Where the objects of a bucket are reached. */
export interface Place {
  readonly region: string;
  readonly hostname: string;
  readonly port: number;
  /** The Host header. */
  readonly host: string;
  /** The part of the path before a key. */
  readonly prefix: string;
}

/** Limits how many buckets are remembered. */
const mostPlaces = 10_000;

/** Where buckets are located. A server may reveal that only to a request at the wrong place. */
export class Places {
  readonly #settings: Settings;
  readonly #places = new Map<string, Place>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Without a bucket: the place for requests about the account. */
  of(bucket = ''): Place {
    return this.#places.get(bucket) ?? this.#remember(bucket, this.#settings.region);
  }

  /** @returns whether the bucket is in another region than `asked` */
  learn(bucket: string | undefined, asked: Place, region: string | undefined): boolean {
    if (bucket === undefined || region === undefined || region === asked.region || !isRegion(region)) return false;
    this.#remember(bucket, region);
    return true;
  }

  #remember(bucket: string, region: string): Place {
    if (this.#places.size >= mostPlaces) this.#places.clear();
    const place = placeOf(this.#settings, bucket, region);
    this.#places.set(bucket, place);
    return place;
  }
}

function placeOf({ endpoint, forcePathStyle, isAws, region: configured }: Settings, bucket: string, region: string): Place {
  const given = new URL(endpoint ?? `https://${awsHost(region)}`);
  // Endpoints of a private network serve every region that they reach.
  const isRegional = isAws && /^s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?$/.test(given.hostname);
  if (isRegional && region !== configured) given.hostname = awsHost(region);
  const isHosted = !forcePathStyle && isIP(bare(given.hostname)) === 0 && isHostable(bucket);
  if (isHosted) given.hostname = `${bucket}.${given.hostname}`;
  const base = given.pathname.replace(/\/+$/, '');
  return {
    region,
    hostname: bare(given.hostname),
    port: Number(given.port) || (given.protocol === 'http:' ? 80 : 443),
    host: given.host,
    prefix: isHosted || bucket === '' ? `${base}/` : `${base}/${uriEncode(bucket)}/`,
  };
}

/** The region becomes part of a host name and of a header, so it may contain nothing else. */
export function isRegion(text: string): boolean {
  return /^[\w-]{1,63}$/.test(text);
}

/** A certificate for `*.host` does not cover names with further dots. */
function isHostable(bucket: string): boolean {
  return /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket);
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
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
