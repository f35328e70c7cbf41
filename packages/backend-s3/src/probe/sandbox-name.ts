import { randomBytes } from 'node:crypto';

const beginning = 'coffer-probe-';

/** A bucket that nobody else has. */
export function sandboxName(): string {
  return beginning + randomBytes(8).toString('hex');
}

export function isSandbox(bucket: string): boolean {
  return /^coffer-probe-[0-9a-f]{16}$/.test(bucket);
}

/** What the prefixes of all sandboxes in buckets that are in use begin with. */
export const sandboxPrefixes: string = `.${beginning}`;

/** The prefix of a sandbox of this name in a bucket that is in use. */
export function sandboxPrefix(name: string): string {
  return `.${name}/`;
}

/** Undefined for a key that lies in no sandbox. */
export function sandboxPrefixOf(key: string): string | undefined {
  return /^\.coffer-probe-[0-9a-f]{16}\//.exec(key)?.[0];
}
