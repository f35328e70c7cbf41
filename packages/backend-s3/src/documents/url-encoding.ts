import { MalformedXmlError } from './xml.ts';

/** A key out of an answer whose keys are URL-encoded: as forms are, since some servers write a space as `+`. */
export function urlDecoded(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    throw new MalformedXmlError('a key that is not URL-encoded');
  }
}
