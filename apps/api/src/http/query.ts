import type { FieldError } from '@coffer/storage-core';
import { validationFailed } from '@coffer/storage-core/http';

/**
 * The parameters of a query, decoded like a form: a plus sign is a space.
 * @throws validation_failed if a parameter is given twice or is not percent-encoded UTF-8, rather than guess what was meant
 */
export function parseQuery(query: string): Readonly<Record<string, string>> {
  const parameters = new Map<string, string>();
  const errors = new Map<string, FieldError>(); // each error once, however often it occurs
  const note = (field: string, message: string): void => void errors.set(`${field} ${message}`, { field, message });
  for (const part of query.split('&')) {
    if (part === '') continue;
    const [, rawName = '', rawValue = ''] = /^([^=]*)=?(.*)$/s.exec(part) ?? [];
    const name = percentDecoded(rawName.replaceAll('+', ' '));
    const value = percentDecoded(rawValue.replaceAll('+', ' '));
    if (name === undefined || value === undefined) note(name ?? 'query', 'is not percent-encoded UTF-8');
    else if (parameters.has(name)) note(name, 'given more than once');
    else parameters.set(name, value);
  }
  if (errors.size > 0) throw validationFailed([...errors.values()]);
  return Object.fromEntries(parameters);
}

/** Undefined for what is not percent-encoded UTF-8. */
export function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
