/**
 * Prints one short line of progress. On stderr: stdout belongs to the server and to the test report.
 * @param {string} line
 */
export function print(line) {
  process.stderr.write(`[coffer] ${line}\n`);
}

/** A failure that its message, one sentence, explains fully. `advice` begins a second sentence: what to fix before trying again. */
export class BootstrapError extends Error {
  /**
   * @param {string} message
   * @param {string} [advice]
   */
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

/**
 * What to fix after a failed download, by what npm or pnpm printed.
 * @param {string} output
 */
export function downloadAdvice(output) {
  return /\b(?:ENOSPC|EDQUOT|No space left on device|Disk quota exceeded)\b/.test(output)
    ? 'Free some disk space'
    : 'Check the network or proxy';
}

/** Rejects whatever is running when a signal asks the bootstrap to end. */
export class Stopped extends Error {
  /** @param {number} exitCode 128 + the signal's number, as a shell reports it */
  constructor(exitCode) {
    super('stopped by a signal');
    this.exitCode = exitCode;
  }
}

/**
 * The readable part of an error of the operating system, which names the call and the path: `EACCES: permission denied, mkdir '/x'`.
 * @param {unknown} error
 */
export function osReason(error) {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.replace(/\.$/, '') ?? 'unknown error';
}
