import { randomBytes } from 'node:crypto';

import { FileTypeParser, fileTypeFromBuffer } from 'file-type';
import { describe, expect, it, vi } from 'vitest';

import { typeOfBytes } from './file-types.ts';

interface Checks {
  check(header: ArrayLike<number>, place?: { readonly offset?: number }): boolean;
}

/** Beginnings of files in which every byte counts. */
const beginnings = [
  '89504e470d0a1a0a0000000d49484452000000010000000108020000',
  'ffd8ffe000104a46494600010100000100010000ffdb',
  '474946383961010001008000',
  '424d460000000000000036000000',
  '255044462d312e370a',
  '7f454c4602010100',
  '1f8b0800000000000003',
  '504b0304140000000000',
  '526172211a0700',
  '377abcaf271c0004',
  'd0cf11e0a1b11ae1',
  '1a45dfa39f4286810142f7810142f2810442f381084282847765626d',
  '4f67675300020000000000000000000000000000000000000000000000004f70757348656164',
  '0000001866747970697 36f6d0000020069736f6d69736f32',
  '52494646240000005741564566 6d7420',
  '524946462400000057454250565038 20',
  '494433030000000000',
  'fffb9064',
  '664c6143000000 22',
  '53514c69746520666f726d61742033 00',
  '774f4632000100 00',
  '49492a0008000000',
  '4d4d002a00000008',
  '00000100010010100000',
  '4d5a900003000000',
  'cafebabe00000041',
  '0061736d01000000',
  '28b52ffd0400',
  'fd377a585a00',
  'fffe3c003f0078006d006c00',
  'efbbbf3c3f786d6c20',
].map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'));

const plain = async (sample: Uint8Array): Promise<string | undefined> => (await fileTypeFromBuffer(sample).catch(() => undefined))?.mime;

const pngSignature = Buffer.from('89504e470d0a1a0a', 'hex');

/** What the library finds, or a PNG whose header it does not accept. */
const expected = async (sample: Uint8Array): Promise<string | undefined> =>
  (await plain(sample)) ?? (pngSignature.equals(sample.subarray(0, 8)) ? 'image/png' : undefined);

/** Whether the library's answer is the same when no zeros follow the last byte. */
async function isWhole(sample: Uint8Array): Promise<boolean> {
  return (await plain(sample)) === (await plain(Buffer.concat([sample, Buffer.alloc(64, 0xff)])));
}

describe('typeOfBytes', () => {
  it('finds what the library finds', async () => {
    const known = beginnings.map((bytes) => Buffer.concat([bytes, Buffer.alloc(600)]));
    const found = await Promise.all(known.map(typeOfBytes));
    expect(found).toEqual(await Promise.all(known.map(plain)));
    expect(found.filter((type) => type === undefined).length).toBeLessThan(3);
    // Two bytes of noise begin many formats, but the rest does not match them.
    const noise = Array.from({ length: 65_536 / 16 }, (_, index) =>
      Buffer.concat([Buffer.from([index & 0xff, index >> 4]), randomBytes(300)]),
    );
    expect(await Promise.all(noise.map(typeOfBytes))).toEqual(await Promise.all(noise.map(plain)));
  });

  it('compares every byte that the library checks, wherever it looks', async () => {
    const check = vi.spyOn(FileTypeParser.prototype as unknown as Checks, 'check').mockReturnValue(false);
    await fileTypeFromBuffer(new Uint8Array(8192).fill(0xab));
    const checks = check.mock.calls;
    check.mockRestore();
    expect(checks.length).toBeGreaterThan(100);
    const cut = checks.flatMap(([header, { offset = 0 } = {}]) =>
      [offset, offset + header.length - 1, offset + header.length, 300, 4100].flatMap((length) =>
        [randomBytes(4100), Buffer.alloc(4100)].flatMap((bytes) => {
          bytes.set(Uint8Array.from(header), offset);
          const almost = Buffer.from(bytes);
          almost[offset + header.length - 1]! ^= 1;
          return [bytes.subarray(0, length), almost.subarray(0, length)];
        }),
      ),
    );
    const are = await Promise.all(cut.map(isWhole));
    const samples = cut.filter((_, index) => are[index]);
    const found = await Promise.all(samples.map(typeOfBytes));
    expect(found).toEqual(await Promise.all(samples.map(expected)));
    expect(new Set(found).size).toBeGreaterThan(60);
  });

  it('asks the library nothing about bytes that begin like no format', async () => {
    const parse = vi.spyOn(FileTypeParser.prototype, 'fromBuffer');
    const noise = Array.from({ length: 1000 }, () => randomBytes(4100));
    await Promise.all(noise.map(typeOfBytes));
    expect(parse.mock.calls.length).toBeLessThan(200); // some begin like music files
    parse.mockRestore();
  });
});
