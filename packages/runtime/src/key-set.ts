import { readFileSync } from 'node:fs';

/** Why the file at `path` is not a JSON Web Key Set that can verify a token, or undefined if it is. */
export function keySetProblem(path: string): string | undefined {
  let set: unknown;
  try {
    set = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    return cause instanceof SyntaxError
      ? 'must be a JSON Web Key Set; the file is not JSON.'
      : `must be a file that can be read; ${reason(cause)}.`;
  }
  const keys: unknown = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(keys)) return 'must be a JSON Web Key Set: an object with an array "keys".';
  if (!keys.some(isPublicKey)) return 'must hold at least one public key of type RSA, EC or OKP.';
  return undefined;
}

function isPublicKey(key: unknown): boolean {
  return typeof key === 'object' && key !== null && 'kty' in key && ['RSA', 'EC', 'OKP'].includes(String(key.kty));
}

function reason(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'it does not exist';
  return code === 'EACCES' ? 'this user may not read it' : 'it is not';
}
