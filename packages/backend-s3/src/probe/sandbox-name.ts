import { randomBytes } from 'node:crypto';

const beginning = 'coffer-probe-';

/** A bucket name that nobody else uses. */
export function sandboxName(): string {
  return beginning + randomBytes(8).toString('hex');
}

export function isSandbox(bucket: string): boolean {
  return /^coffer-probe-[0-9a-f]{16}$/.test(bucket);
}

/** The common start of the prefixes of all sandboxes in buckets that are in use. */
export const sandboxPrefixes: string = `.${beginning}`;

/** The prefix of the sandbox `name` in a bucket that is in use. */
export function sandboxPrefix(name: string): string {
  return `.${name}/`;
}

/** The sandbox prefix of a key; undefined if the key is in no sandbox. */
export function sandboxPrefixOf(key: string): string | undefined {
  return /^\.coffer-probe-[0-9a-f]{16}\//.exec(key)?.[0];
}
