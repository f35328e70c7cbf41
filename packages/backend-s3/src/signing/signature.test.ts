import { createHmac } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { algorithm, amzDate, authorization, encodeKey, namesOf, Signatures, unsignedPayload, uriEncode } from './signature.ts';
import type { Signable } from './signature.ts';

// The examples of AWS's documentation of Signature Version 4 for S3.
const keys = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const date = amzDate(Date.UTC(2013, 4, 24));
const nothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const host = ['host', 'examplebucket.s3.amazonaws.com'];
const bodiless = [...host, 'x-amz-content-sha256', nothing, 'x-amz-date', date];

describe('signatures', () => {
  it.each<[string, Omit<Signable, 'payloadHash'>, string, string]>([
    [
      'a GET of a range',
      {
        method: 'GET',
        path: encodeKey('/test.txt'),
        query: '',
        headers: [...host, 'range', 'bytes=0-9', ...bodiless.slice(2)],
      },
      nothing,
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      'a PUT',
      {
        method: 'PUT',
        path: encodeKey('/test$file.text'),
        query: '',
        headers: Object.entries({
          date: 'Fri, 24 May 2013 00:00:00 GMT',
          host: host[1] ?? '',
          'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
          'x-amz-date': date,
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        }).flat(),
      },
      '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ],
    [
      'a subresource',
      { method: 'GET', path: '/', query: 'lifecycle=', headers: bodiless },
      nothing,
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ],
    [
      'a list',
      { method: 'GET', path: '/', query: 'max-keys=2&prefix=J', headers: bodiless },
      nothing,
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ])('are those of AWS for %s', (_name, request, payloadHash, signature) => {
    const scope = new Signatures().scope(keys, 'us-east-1', date);
    expect(authorization(scope, { ...request, payloadHash }, date)).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ` +
        `SignedHeaders=${namesOf(request.headers)}, Signature=${signature}`,
    );
  });

  it('are that of AWS for a URL', () => {
    const scope = new Signatures().scope(keys, 'us-east-1', date);
    const query = [
      `X-Amz-Algorithm=${algorithm}`,
      `X-Amz-Credential=${uriEncode(scope.credential)}`,
      `X-Amz-Date=${date}`,
      'X-Amz-Expires=86400',
      'X-Amz-SignedHeaders=host',
    ].join('&');
    expect(scope.sign({ method: 'GET', path: '/test.txt', query, headers: host, payloadHash: unsignedPayload }, date)).toBe(
      'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });

  it('are made with the key of their day, their region and their secret', () => {
    const signatures = new Signatures();
    const sign = (secretAccessKey: string, region: string, at: string): string =>
      signatures.scope({ ...keys, secretAccessKey }, region, at).signText('text');
    const variants: readonly Parameters<typeof sign>[] = [
      ['a', 'eu-west-1', date],
      ['b', 'eu-west-1', date],
      ['a', 'us-east-1', date],
      ['a', 'eu-west-1', '20130525T000000Z'],
    ];
    const made = variants.map((variant) => sign(...variant));
    expect(new Set(made).size).toBe(variants.length);
    expect(variants.map((variant) => sign(...variant))).toEqual(made);
    expect(signatures.scope({ ...keys, accessKeyId: 'other' }, 'us-east-1', date).credential).toBe(
      'other/20130524/us-east-1/s3/aws4_request',
    );
  });

  it('derive the key of a day once, and do not keep it for ever', () => {
    const signatures = new Signatures();
    const scope = signatures.scope(keys, 'us-east-1', date);
    expect(signatures.scope(keys, 'us-east-1', date)).toBe(scope);
    for (let count = 0; count < 100; count++) signatures.scope({ ...keys, accessKeyId: `${count}` }, 'us-east-1', date);
    expect(signatures.scope(keys, 'us-east-1', date)).not.toBe(scope);
  });

  it('cover values as servers read them: trimmed, and with single spaces', () => {
    const scope = new Signatures().scope(keys, 'us-east-1', date);
    const sign = (value: string): string =>
      scope.sign({ method: 'PUT', path: '/', query: '', headers: [...host, 'x-amz-meta-a', value], payloadHash: nothing }, date);
    for (const value of [' one   two ', ' one two', 'one two ', 'one  two']) expect(sign(value)).toBe(sign('one two'));
    expect(sign('onetwo')).not.toBe(sign('one two'));
  });
});

describe('keys in a path', () => {
  it.each([
    ['a/b-c_d.e~f', 'a/b-c_d.e~f'],
    ['a//b/', 'a//b/'],
    ['a+b', 'a%2Bb'],
    ['a b+c%2F', 'a%20b%2Bc%252F'],
    ["!'()*", '%21%27%28%29%2A'],
    ['日本', '%E6%97%A5%E6%9C%AC'],
    ['?#&=:@$,;[]', '%3F%23%26%3D%3A%40%24%2C%3B%5B%5D'],
  ])('%s is %s', (key, encoded) => {
    expect(encodeKey(key)).toBe(encoded);
    expect(decodeURIComponent(encoded)).toBe(key);
  });

  it('are HMACs, whatever the secret and the text', () => {
    const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    const long = fc.tuple(text, fc.nat(3000)).map(([some, length]) => some.padEnd(length, some || 'x'));
    // Lengths around the 64 bytes of a block: HMAC hashes longer keys first.
    const secret = fc.oneof(
      text,
      long,
      fc.integer({ min: 58, max: 62 }).map((length) => 'x'.repeat(length)),
    );
    const signatures = new Signatures();
    fc.assert(
      fc.property(secret, fc.array(fc.oneof(text, long), { minLength: 1, maxLength: 4 }), (secretAccessKey, texts) => {
        const scope = signatures.scope({ ...keys, secretAccessKey }, 'eu-west-1', date);
        const key = ['20130524', 'eu-west-1', 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
        for (const signed of texts) expect(scope.signText(signed)).toBe(hmac(key, signed).toString('hex'));
      }),
    );
  });
});
