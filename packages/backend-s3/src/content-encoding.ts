const token = /^[!#$%&'*+.^`|~\w-]+$/;
/** How an upload was framed, which servers undo, and some keep all the same; and the name of none. */
const undone = /^(?:aws-chunked|identity)$/i;

/** What stored bytes are to be decoded by, out of a header. */
export function encodingOf(told: string | undefined): { readonly contentEncoding?: string } {
  const codings = (told ?? '').split(',').map((coding) => coding.trim());
  const left = codings.filter((coding) => token.test(coding) && !undone.test(coding));
  return left.length === 0 ? {} : { contentEncoding: left.join(', ') };
}
