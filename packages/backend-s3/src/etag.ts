export function bare(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

export function quoted(etag: string): string {
  return etag === '*' ? etag : `"${etag}"`;
}

/** What every server of S3 tells of bytes that it has stored, bare. One that does not is none, or something before it has answered. */
export function etagOfWrite(etag: string | undefined): string {
  const told = bare(etag);
  if (told === '') throw new NoEtagError();
  return told;
}

class NoEtagError extends Error {
  constructor() {
    super('The answer to a write has no ETag.');
    this.name = 'NoEtagError';
  }
}
