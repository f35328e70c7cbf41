import { describe, expect, it } from 'vitest';

import type { S3BackendOptions } from '../options.ts';
import { settingsOf } from '../settings.ts';
import { BucketEndpoints } from './bucket-endpoints.ts';

const urlOf = (options: S3BackendOptions, bucket = 'bucket', region?: string): string => {
  const places = new BucketEndpoints(settingsOf(options));
  if (region !== undefined) places.learn(bucket, places.of(bucket), region);
  const { host, prefix } = places.of(bucket);
  return `${host}${prefix}`;
};

describe('places', () => {
  it.each<[string, S3BackendOptions, string]>([
    ['AWS', { region: 'eu-central-1' }, 'bucket.s3.eu-central-1.amazonaws.com/'],
    ['AWS in China', { region: 'cn-north-1' }, 'bucket.s3.cn-north-1.amazonaws.com.cn/'],
    ['AWS in Europe alone', { region: 'eusc-de-east-1' }, 'bucket.s3.eusc-de-east-1.amazonaws.eu/'],
    ['AWS with paths', { forcePathStyle: true }, 's3.us-east-1.amazonaws.com/bucket/'],
    ['an endpoint of AWS', { endpoint: 'https://s3.amazonaws.com' }, 'bucket.s3.amazonaws.com/'],
    [
      'the endpoint of AWS, with another region',
      { endpoint: 'https://s3.amazonaws.com', region: 'eu-west-1' },
      'bucket.s3.eu-west-1.amazonaws.com/',
    ],
    ['an endpoint in Europe alone', { endpoint: 'https://s3.eusc-de-east-1.amazonaws.eu' }, 'bucket.s3.eusc-de-east-1.amazonaws.eu/'],
    ['an accelerated endpoint', { endpoint: 'https://s3-accelerate.amazonaws.com' }, 'bucket.s3-accelerate.amazonaws.com/'],
    ['another server', { endpoint: 'http://storage.test:9000' }, 'storage.test:9000/bucket/'],
    ['another server with hosts', { endpoint: 'https://storage.test', forcePathStyle: false }, 'bucket.storage.test/'],
    ['a path', { endpoint: 'https://storage.test/s3/' }, 'storage.test/s3/bucket/'],
    ['an address, which has no hosts below it', { endpoint: 'http://127.0.0.1:9000', forcePathStyle: false }, '127.0.0.1:9000/bucket/'],
    ['an address of version 6', { endpoint: 'http://[::1]:9000', forcePathStyle: false }, '[::1]:9000/bucket/'],
  ])('are those of %s', (_name, options, url) => {
    expect(urlOf(options)).toBe(url);
  });

  it('of requests about the account have no name in their path', () => {
    expect(urlOf({ endpoint: 'http://storage.test:9000' }, '')).toBe('storage.test:9000/');
  });

  it('tell where to connect', () => {
    const placeOf = (endpoint: string): unknown => new BucketEndpoints(settingsOf({ endpoint })).of('bucket');
    expect(placeOf('http://[::1]')).toMatchObject({ hostname: '::1', port: 80 });
    expect(placeOf('https://storage.test')).toMatchObject({ hostname: 'storage.test', port: 443 });
    expect(placeOf('https://storage.test:8443')).toMatchObject({ hostname: 'storage.test', port: 8443 });
  });

  it.each(['evil.test/', 'evil.test#', 'a b', 'x\r\ny: z', ''])('reject invalid regions: %j', (region) => {
    expect(urlOf({}, 'bucket', region)).toBe('bucket.s3.us-east-1.amazonaws.com/');
  });

  it('use the path for bucket names that no host or certificate supports', () => {
    for (const name of ['with.dots', 'UPPER', 'under_score']) expect(urlOf({}, name)).toBe(`s3.us-east-1.amazonaws.com/${name}/`);
  });

  it('move to the endpoint of another region on AWS, unless the endpoint is a private one', () => {
    expect(urlOf({}, 'bucket', 'eu-west-1')).toBe('bucket.s3.eu-west-1.amazonaws.com/');
    expect(urlOf({ endpoint: 'https://s3.us-east-1.amazonaws.com' }, 'bucket', 'eu-west-1')).toBe('bucket.s3.eu-west-1.amazonaws.com/');
    expect(urlOf({ endpoint: 'https://s3.amazonaws.com' }, 'bucket', 'eu-west-1')).toBe('bucket.s3.eu-west-1.amazonaws.com/');
    const kinds = ['s3.dualstack', 's3-fips', 's3-fips.dualstack'];
    for (const kind of kinds) {
      const endpoint = `https://${kind}.us-east-1.amazonaws.com`;
      expect(urlOf({ endpoint }, 'bucket', 'us-west-2')).toBe(`bucket.${kind}.us-west-2.amazonaws.com/`);
    }
    for (const [legacy, region] of [
      ['s3-eu-west-1', 'eu-west-1'],
      ['s3-external-1', 'us-east-1'],
    ] as const) {
      const endpoint = `https://${legacy}.amazonaws.com`;
      expect(urlOf({ endpoint, region }, 'bucket', 'us-west-2')).toBe('bucket.s3.us-west-2.amazonaws.com/');
    }
    expect(urlOf({ endpoint: 'https://s3-accelerate.amazonaws.com' }, 'bucket', 'eu-west-1')).toBe('bucket.s3-accelerate.amazonaws.com/');
    const endpoint = 'https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com';
    expect(urlOf({ endpoint, forcePathStyle: true }, 'bucket', 'eu-west-1')).toBe(`${endpoint.slice(8)}/bucket/`);
    expect(urlOf({ endpoint: 'http://storage.test' }, 'bucket', 'eu-west-1')).toBe('storage.test/bucket/');
  });

  it('are learnt once', () => {
    const places = new BucketEndpoints(settingsOf({}));
    const asked = places.of('bucket');
    expect(places.learn('bucket', asked, undefined)).toBe(false);
    expect(places.learn('bucket', asked, 'us-east-1')).toBe(false);
    expect(places.learn('bucket', asked, 'eu-west-1')).toBe(true);
    expect([places.of('bucket').region, places.of('another').region]).toEqual(['eu-west-1', 'us-east-1']);
  });
});
