/** `null` is what buckets without versions call the only one; it is not a version id. */
export function versionOf(id: string | undefined): { readonly versionId?: string } {
  return id === undefined || id === 'null' || id === '' ? {} : { versionId: id };
}
