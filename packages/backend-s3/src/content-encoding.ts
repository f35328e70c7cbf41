const token = /^[!#$%&'*+.^`|~\w-]+$/;
/** `aws-chunked` is the framing of an upload, which servers undo, though some keep the name; `identity` means no encoding. */
const notStored = /^(?:aws-chunked|identity)$/i;

/** The encodings of the stored bytes, taken from a Content-Encoding header. */
export function encodingOf(header: string | undefined): { readonly contentEncoding?: string } {
  const codings = (header ?? '').split(',').map((coding) => coding.trim());
  const stored = codings.filter((coding) => token.test(coding) && !notStored.test(coding));
  return stored.length === 0 ? {} : { contentEncoding: stored.join(', ') };
}
