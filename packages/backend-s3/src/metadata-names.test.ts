import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { faultBench, transports } from './testing/fault-bench.ts';

const small = Buffer.from('small');
const large = Buffer.alloc(9 * 2 ** 20);

describe.each(transports)('a metadata name that is too long for Ceph (%s)', (transport) => {
  const bench = faultBench(transport);
  const put = (data: Buffer, name: string): Promise<unknown> =>
    bench.through().put(bench.at('named'), { kind: 'buffer', data }, { contentType: 'text/plain', metadata: { [name]: 'x' } }, noContext);

  it.each([
    ['in one request', small],
    ['in parts', large],
  ])('is refused for good, not as an outage that passes: %s', async (_way, data) => {
    await put(data, 'n'.repeat(80));
    expect((await bench.direct.head(bench.at('named'), noContext)).metadata).toEqual({ ['n'.repeat(80)]: 'x' });
    const refusal = { code: 'invalid_argument', retryable: false };
    await expect(put(data, 'n'.repeat(81))).rejects.toMatchObject(refusal);
    await expect(put(data, `${'n'.repeat(77)}_`)).resolves.toBeDefined(); // sent as "…n.5f"
    await expect(put(data, `${'n'.repeat(78)}_`)).rejects.toMatchObject(refusal);
  });

  it('does not hide a real outage', async () => {
    bench.proxy.faults.answer = () => ({ text: 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n' });
    await expect(put(small, 'n'.repeat(81))).rejects.toMatchObject({ code: 'storage_unavailable', retryable: true });
  });
});
