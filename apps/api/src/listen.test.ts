import { createServer } from 'node:net';

import { StartupError } from '@coffer/runtime';
import { describe, expect, it } from 'vitest';

import { freePort, listen } from './listen.ts';

describe('a server that cannot listen', () => {
  const refusalOf = (host: string, port: number, variable: string): Promise<unknown> =>
    listen(createServer(), { host, port, variable }).then(
      () => undefined,
      (error: unknown) => error,
    );

  it.each(['one that is free', 65_535])('says that its port is in use, and names another one (%s)', async (which) => {
    const port = typeof which === 'number' ? which : await freePort('127.0.0.1');
    const holder = createServer();
    await listen(holder, { host: '127.0.0.1', port, variable: 'PORT' }).catch(() => {}); // already in use by somebody else
    const error = await refusalOf('127.0.0.1', port, 'METRICS_PORT');
    holder.close();
    expect(error).toBeInstanceOf(StartupError);
    const other = port === 65_535 ? 65_534 : port + 1;
    expect((error as Error).message).toBe(
      `Port ${port} on 127.0.0.1 is in use. Stop what listens there, or choose another port: METRICS_PORT=${other} npm start`,
    );
  });

  it.each([
    ['PORT', 'HOST'],
    ['METRICS_PORT', 'METRICS_HOST'],
  ])('says that the address is not one of this machine, by the variable that goes with %s', async (variable, host) => {
    expect(await refusalOf('203.0.113.5', 1, variable)).toMatchObject({ message: `${host}=203.0.113.5 is no address of this machine.` });
  });
});
