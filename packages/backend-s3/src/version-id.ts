/** What buckets without versions call the only one is no version id. */
export function versionOf(id: string | undefined): { readonly versionId?: string } {
  return id === undefined || id === 'null' || id === '' ? {} : { versionId: id };
}
