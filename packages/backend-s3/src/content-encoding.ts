const token = /^[!#$%&'*+.^`|~\w-]+$/;
/** `aws-chunked` is the framing of an upload, which servers undo, though some keep the name; `identity` means no encoding. */
const undone = /^(?:aws-chunked|identity)$/i;

/** The encodings of the stored bytes, taken from a Content-Encoding header. */
export function encodingOf(told: string | undefined): { readonly contentEncoding?: string } {
  const codings = (told ?? '').split(',').map((coding) => coding.trim());
  const left = codings.filter((coding) => token.test(coding) && !undone.test(coding));
  return left.length === 0 ? {} : { contentEncoding: left.join(', ') };
}
