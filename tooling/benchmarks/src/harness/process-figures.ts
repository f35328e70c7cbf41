import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

// USER_HZ: every Linux reports times to user space in hundredths of a second.
const ticksPerSecond = 100;

/** User and system time that a process has used in all its threads, in seconds. Linux only. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is a name in parentheses that may contain anything; the fields after it are counted from the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The peak memory of a process since `resetPeak`, in MiB. */
export function peakRss(pid: number): number {
  return statusMiB(pid, 'VmHWM');
}

/** The current memory of a process, in MiB. */
export function rss(pid: number): number {
  return statusMiB(pid, 'VmRSS');
}

/** Resets the peak memory of a process to its current memory. @see proc(5), clear_refs */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The number of open descriptors of a process: files, sockets and the like. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function statusMiB(pid: number, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no ${name}.`);
  return Number(kibibytes) / 1024;
}
