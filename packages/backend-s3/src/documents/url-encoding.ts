import { MalformedXmlError } from './xml.ts';

/** Decodes a key from an answer with URL-encoded keys. They are encoded as in forms, since some servers write a space as `+`. */
export function urlDecoded(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    throw new MalformedXmlError('a key that is not URL-encoded');
  }
}
