import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

const module = fileURLToPath(new URL('./log-destination.ts', import.meta.url));

/** A process that logs to its standard output. */
function logging(script: string, stdout: 'pipe' | number = 'pipe'): ChildProcess {
  const head = `import { LogDestination } from ${JSON.stringify(module)};
    process.stdout; // as log.ts, which asks what it is
    const log = new LogDestination(1);`;
  return spawn(process.execPath, ['--input-type=module', '-e', `${head}\n${script}`], { stdio: ['ignore', stdout, 'inherit'] });
}

async function exitOf(child: ChildProcess): Promise<unknown> {
  return (await once(child, 'exit'))[0];
}

describe('lines of the log', () => {
  it('all arrive, in their order, however slowly they are read', async () => {
    const child = logging(
      `for (let n = 0; n < 20_000; n++) log.write(n + ' ' + 'ä'.repeat(40) + '\\n'); log.flush(() => process.exit(3));`,
    );
    const [read, code] = await Promise.all([child.stdout === null ? '' : text(child.stdout), exitOf(child)]);
    expect(code).toBe(3);
    expect(read).toBe(Array.from({ length: 20_000 }, (_, n) => `${n} ${'ä'.repeat(40)}\n`).join(''));
  });

  it('arrive from a process that ends by an error', async () => {
    const child = logging(`log.write('one\\n'); log.write('two\\n'); process.exit(1);`);
    const [read] = await Promise.all([child.stdout === null ? '' : text(child.stdout), exitOf(child)]);
    expect(read).toContain('two\n');
  });

  it('take no more memory than allowed while they wait', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'coffer-log-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const path = join(directory, 'log');
    const script = `for (let n = 0; n < 40; n++) log.write('x'.repeat(2 ** 20)); log.flush(() => process.exit(3));`;
    expect(await exitOf(logging(script, openSync(path, 'w')))).toBe(3);
    expect((await stat(path)).size).toBeLessThanOrEqual(17 * 2 ** 20); // one more is being written
  });

  it('do not keep a process from ending if nobody reads them', async () => {
    const child = logging(`for (let n = 0; n < 20_000; n++) log.write('x'.repeat(100) + '\\n'); log.flush(() => process.exit(3));`);
    expect(await exitOf(child)).toBe(3);
  });

  it('do not keep a process from working if their reader is gone', async () => {
    const child = logging(`setInterval(() => log.write('x\\n'), 5); setTimeout(() => log.flush(() => process.exit(3)), 300);`);
    child.stdout?.destroy();
    expect(await exitOf(child)).toBe(3);
  });

  it.runIf(process.platform === 'linux')('do not keep a process from working or ending if the disk is full', async () => {
    const script = `setInterval(() => log.write('x\\n'), 5); setTimeout(() => log.flush(() => { log.write('last\\n'); log.write('last\\n'); process.exit(3); }), 300);`;
    expect(await exitOf(logging(script, openSync('/dev/full', 'w')))).toBe(3);
  });
});
