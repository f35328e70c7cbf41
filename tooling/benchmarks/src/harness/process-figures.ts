import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

// USER_HZ: every Linux reports times to user space in hundredths of a second.
const ticksPerSecond = 100;

/** User and system time that a process has used, over all its threads, in seconds. Linux only. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is a name in parentheses that may hold anything; the fields behind it are counted from the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Most memory that a process has held at once since `resetPeak`, in MiB. */
export function peakRss(pid: number): number {
  return statusMiB(pid, 'VmHWM');
}

/** Memory that a process holds now, in MiB. */
export function rss(pid: number): number {
  return statusMiB(pid, 'VmRSS');
}

/** Makes the present memory of a process its peak. @see proc(5), clear_refs */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** How much a process has open: files, sockets and the like. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function statusMiB(pid: number, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status has no ${name}.`);
  return Number(kibibytes) / 1024;
}
