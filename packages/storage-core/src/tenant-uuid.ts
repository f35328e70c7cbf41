const longest = 128;
const control = '\\x00-\\x1f\\x7f-\\x9f';
const shape = (without: string): string => `^[^\\s${without}](?:[^${without}]*[^\\s${without}])?$`;

/**
 * What a uuid or slug of a tenant is, in the words of JSON schemas and in what all dialects of regular expressions have in common.
 * U+2028 and U+2029, which no name has either, are not told of: as \u escapes not every dialect has them, and as they are they end the
 * line of a program that was made from the schema.
 */
export const tenantNameShape: { readonly minLength: number; readonly maxLength: number; readonly pattern: string } = {
  minLength: 1,
  maxLength: longest,
  pattern: shape(control),
};

const refused = `${control}\u2028\u2029`;
const hasControl = new RegExp(`[${refused}]`);
const wellShaped = new RegExp(shape(refused), 'u');
const rfc9562 = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether `value` has the form of a UUID of RFC 9562, in either case. */
export function isRealUuid(value: string): boolean {
  return rfc9562.test(value);
}

/** The one spelling of a tenant uuid: real UUIDs in lower case, anything else as it is. */
export function canonicalTenantUuid(value: string): string {
  return isRealUuid(value) ? value.toLowerCase() : value;
}

/** Why `value` is neither a uuid nor a slug of any tenant, or undefined when it can be; `what` begins the sentence. */
export function tenantNameProblem(what: string, value: string): string | undefined {
  if (typeof value !== 'string') return `${what} must be a string.`; // plain JavaScript, and rows of databases, may lack it
  if (value === '') return `${what} must not be empty.`;
  // A character is one code point; the first test spares counting those of something huge.
  if (value.length > 2 * longest || Array.from(value).length > longest) return `${what} must have at most ${longest} characters.`;
  if (!value.isWellFormed()) return `${what} is well-formed Unicode.`;
  if (wellShaped.test(value)) return undefined;
  return value.trim() === value || hasControl.test(value)
    ? `${what} has no control characters.`
    : `${what} has no white space at its ends.`;
}
