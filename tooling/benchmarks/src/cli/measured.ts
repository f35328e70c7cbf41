import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** The cost of one run of a command. */
export interface Run {
  /** Milliseconds from the start of the process to its end. */
  readonly wallMs: number;
  /** Milliseconds to the first byte on stdout or stderr; undefined if there was none. */
  readonly firstByteMs: number | undefined;
  /** User and system time of the process and of its children, in milliseconds. */
  readonly cpuMs: number;
  /** MiB. */
  readonly peakRss: number;
}

/** A command that takes longer is considered hung, and killed. */
const maxSeconds = 300;

/** Node does not report what a child has used; Python, which comes with the peers, calls wait4(2). */
const waiter = `
import json, os, signal, sys, time
begin = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
for reason in signal.SIGTERM, signal.SIGALRM:
    signal.signal(reason, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(${maxSeconds})
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - begin
print(json.dumps({"code": os.waitstatus_to_exitcode(status), "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss}), file=os.fdopen(3, "w"))
`;

/** Runs a command to its end and discards its output. @throws Error when it fails */
export async function measured(command: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Promise<Run> {
  const started = performance.now();
  const child = spawn('python3', ['-c', waiter, ...command], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const stop = (): void => void child.kill();
  process.once('exit', stop);
  let firstByte: number | undefined;
  let complaint = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream!.on('data', (chunk: Buffer) => {
      firstByte ??= performance.now() - started;
      if (stream === child.stderr) complaint = `${complaint}${chunk.toString()}`.slice(-2000);
    });
  }
  const [report] = await Promise.all([text(child.stdio[3] as NodeJS.ReadableStream), once(child, 'close')]);
  process.off('exit', stop);
  const { code, wall, cpu, rss } = JSON.parse(report) as { code: number; wall: number; cpu: number; rss: number };
  if (code !== 0) throw new Error(`${command.join(' ')} failed (${code}): ${complaint}`);
  // The time until Python has started the command.
  const lead = performance.now() - started - wall * 1000;
  return {
    wallMs: wall * 1000,
    firstByteMs: firstByte === undefined ? undefined : Math.max(firstByte - lead, 0),
    cpuMs: cpu * 1000,
    peakRss: rss / 1024,
  };
}
