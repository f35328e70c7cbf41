import { LocalError } from '../problem.ts';
import { isPartName } from './part-file.ts';

/** Names that Windows reserves for devices, with any extension. */
const devices = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\..*)?$/i;
// oxlint-disable-next-line no-control-regex -- Windows refuses them
const refusedOnWindows = /[<>:"|?*\\\u0000-\u001f]|[. ]$/;

/** Why a key, or its part below a prefix, cannot be a path below a directory; undefined when it can. */
export function targetProblem(name: string, platform: NodeJS.Platform = process.platform): string | undefined {
  if (name === '' || name.includes('\0')) return 'A file cannot have this name.';
  if (name.startsWith('/')) return 'It is an absolute path.';
  for (const segment of name.replace(/\/$/, '').split('/')) {
    if (segment === '') return 'It has an empty part, which no file system keeps.';
    if (segment === '.' || segment === '..') return 'It has a part "." or "..", which would lead elsewhere.';
    // `--resume` would continue from the file that it finds there.
    if (isPartName(segment)) return 'It has a name that downloads have until they are complete.';
    if (platform === 'win32' && (refusedOnWindows.test(segment) || devices.test(segment))) {
      return `Windows has no files of the name "${segment}".`;
    }
  }
  return undefined;
}

/** @throws LocalError `unsafe_path` */
export function assertTarget(name: string): void {
  const problem = targetProblem(name);
  if (problem !== undefined) throw new LocalError('unsafe_path', problem);
}
