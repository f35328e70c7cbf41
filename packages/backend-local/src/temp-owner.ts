import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { codeOf } from './errors.ts';

/** The process that owns a directory of temporary files, as encoded in the directory's name. */
interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Milliseconds on the machine's monotonic clock. */
  readonly started: number;
}

/** A new name for a directory of this process; it tells whether its owner still runs. */
export function nameOfOwner(): string {
  const { host, pid, started } = self();
  return `${host}-${pid}-${started}-${randomBytes(6).toString('hex')}`;
}

/** Whether the owner of the directory of this name is known to have ended: nobody knows that of a process on another machine. */
export function isOwnerDead(name: string): boolean {
  const [, host, pid, started] = /^(.+)-(\d+)-(\d+)-[0-9a-f]{12}$/.exec(name) ?? [];
  return host === self().host && !isAlive({ host, pid: Number(pid), started: Number(started) });
}

function self(): Owner {
  return {
    host: hostname().replaceAll(/[^A-Za-z0-9.-]/g, '_') || 'localhost',
    pid: process.pid,
    started: startedAt(),
  };
}

function startedAt(): number {
  const started = Math.round(Number(process.hrtime.bigint()) / 1e6 - process.uptime() * 1000);
  return started < 1000 ? startedAtFromProc(started) : started;
}

/** In Bun and Deno the clock starts with the process, which cannot tell equal pids in containers apart. Linux knows the start time. */
function startedAtFromProc(fallback: number): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the second field, in parentheses, may hold anything
    return Number(fields[19]) * 10 || fallback;
  } catch {
    return fallback;
  }
}

function isAlive({ pid, started }: Owner): boolean {
  // Our pid with another start time was an earlier process: in a container every process may get the same pid.
  if (pid === process.pid) return Math.abs(started - self().started) < 1000;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
