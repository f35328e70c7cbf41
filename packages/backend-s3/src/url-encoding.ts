/** A key out of an answer whose keys are URL-encoded: as forms are, since some servers write a space as `+`. */
export function urlDecoded(text: string): string {
  return /[%+]/.test(text) ? decodeURIComponent(text.replaceAll('+', '%20')) : text;
}
