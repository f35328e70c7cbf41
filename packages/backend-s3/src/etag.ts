export function bare(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

export function quoted(etag: string): string {
  return etag === '*' ? etag : `"${etag}"`;
}
