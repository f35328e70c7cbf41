const maxLength = 128;
const controlCharacters = '\\x00-\\x1f\\x7f-\\x9f';
const patternWithout = (excluded: string): string => `^[^\\s${excluded}](?:[^${excluded}]*[^\\s${excluded}])?$`;

/**
 * The shape of a tenant's uuid or slug, in JSON Schema terms and in what all regular expression dialects have in common. U+2028 and U+2029,
 * which names cannot contain either, are left out: not every dialect has \u escapes, and unescaped they end the line of a program generated
 * from the schema.
 */
export const tenantNameShape: { readonly minLength: number; readonly maxLength: number; readonly pattern: string } = {
  minLength: 1,
  maxLength,
  pattern: patternWithout(controlCharacters),
};

const refusedCharacters = `${controlCharacters}\u2028\u2029`;
const hasControl = new RegExp(`[${refusedCharacters}]`);
const wellShaped = new RegExp(patternWithout(refusedCharacters), 'u');
const rfc9562 = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether `value` has the form of an RFC 9562 UUID, in either case. */
export function isRealUuid(value: string): boolean {
  return rfc9562.test(value);
}

/** The canonical spelling of a tenant uuid: real UUIDs in lower case, anything else unchanged. */
export function canonicalTenantUuid(value: string): string {
  return isRealUuid(value) ? value.toLowerCase() : value;
}

/** Why `value` cannot be the uuid or slug of any tenant, or undefined if it can; `what` begins the sentence. */
export function tenantNameProblem(what: string, value: string): string | undefined {
  if (typeof value !== 'string') return `${what} must be a string.`; // plain JavaScript, and database rows, may lack it
  if (value === '') return `${what} must not be empty.`;
  // A character is one code point; the first test avoids counting those of something huge.
  if (value.length > 2 * maxLength || Array.from(value).length > maxLength) return `${what} must have at most ${maxLength} characters.`;
  if (!value.isWellFormed()) return `${what} must be well-formed Unicode.`;
  if (wellShaped.test(value)) return undefined;
  return value.trim() === value || hasControl.test(value)
    ? `${what} must not contain control characters.`
    : `${what} must not begin or end with white space.`;
}
