/** For `catch`, where what was to be created may be there already. @throws every other error */
export function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
