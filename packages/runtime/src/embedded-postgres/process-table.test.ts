import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { expect, it } from 'vitest';

import { stopPostmaster } from './postmaster.ts';
import { startOf } from './process-table.ts';

it.runIf(process.platform === 'linux')('knows a process by its start, whatever it is called', async () => {
  const { title } = process;
  const start = await startOf(process.pid);
  process.title = 'a) b (c';
  try {
    expect(await startOf(process.pid)).toBe(start);
  } finally {
    process.title = title;
  }
});

it('takes a dead process that nobody collects for gone, as in a container whose first process does not', async () => {
  const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    await expect.poll(() => startOf(Number(line))).toBeUndefined();
    process.kill(Number(line), 0); // it is still there
  } finally {
    parent.kill('SIGKILL');
  }
});

it('leaves alone the process that has got the pid of a server since', async () => {
  const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
  const pid = stranger.pid ?? 0;
  try {
    const start = await startOf(pid);
    expect(await stopPostmaster({ pid, start: `${start}0`, socketDir: '' })).toBe(true);
    expect(await startOf(pid)).toBe(start);
  } finally {
    stranger.kill('SIGKILL');
  }
});
