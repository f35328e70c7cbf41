import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { doors } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';

const at = { bucket: 'bucket', key: 'key' };

const { serve, backendTo, clear } = newStage();
afterEach(clear);

describe.each(doors)('an object that has not changed (%s)', (transport) => {
  it.each([
    ['the provider', ['x']],
    ['a look at it', ['x', 'y']],
  ])('takes no place from downloads, when it is %s that tells', async (_who, ifNoneMatch) => {
    const server = await serve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end();
      else if (request.headers['if-none-match'] === '"x"') response.writeHead(304, { etag: '"x"' }).end();
      else response.writeHead(200, { etag: '"x"', 'content-length': 3 }).end('abc');
    });
    const backend = backendTo(server, { transport, maxPoolConnections: 1 });
    for (let turn = 0; turn < 3; turn++) {
      expect(await backend.get(at, { ifNoneMatch }, noContext)).toMatchObject({ kind: 'not_modified', etag: 'x' });
    }
    expect(await backend.get(at, {}, noContext)).toMatchObject({ kind: 'object', info: { size: 3 } });
  });
});
