import { randomBytes } from 'node:crypto';

/** A bucket, or prefix, that nobody else has. */
export function sandboxName(): string {
  return `coffer-probe-${randomBytes(8).toString('hex')}`;
}

export function isSandbox(bucket: string): boolean {
  return /^coffer-probe-[0-9a-f]{16}$/.test(bucket);
}
