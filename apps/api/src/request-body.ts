import { z } from '@hono/zod-openapi';

import type { FieldError } from '@coffer/storage-core';
import { validationFailed } from '@coffer/storage-core/http';

/**
 * A JSON object that a request carries. A field that it does not know is a mistake, since a misspelt one would be lost without a
 * word; null counts as left out where a field may be left out and null means nothing else, since many clients write down all that
 * they have no value for.
 */
export function requestBody<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  const fields = Object.entries(shape).map(([name, field]) => [name, nullable(field as z.ZodType)]);
  return z.strictObject(Object.fromEntries(fields) as S);
}

/**
 * What changes a resource. All else that the resource has is taken and not looked at, from clients that send back what they got;
 * null is a mistake where nothing can be removed, since in a change it may mean that as well.
 */
export function changeBody<S extends z.ZodRawShape>(resource: z.ZodObject, shape: S): z.ZodObject<S, z.core.$strict> {
  const ignored = z.unknown().optional().openapi({ readOnly: true, description: 'Cannot be changed; a value given here is ignored.' });
  const fixed = Object.keys(resource.shape).map((name) => [name, ignored]);
  return z.strictObject({ ...Object.fromEntries(fixed), ...shape }) as z.ZodObject<S, z.core.$strict>;
}

// A union, since of nullable ones with a name, or with a type that is told beside the schema, the document would say otherwise.
function nullable(field: z.ZodType): z.ZodType {
  const isOptional = field.safeParse(undefined).success;
  if (!isOptional || field.safeParse(null).success) return field;
  return z.union([field, z.null().transform(() => undefined)]);
}

/**
 * The fields of a form; one without a value counts as left out.
 * @throws validation_failed
 */
export function formFields<S extends z.ZodObject>(schema: S, fields: ReadonlyMap<string, string>): z.output<S> {
  const result = schema.safeParse(Object.fromEntries([...fields].filter(([, value]) => value !== '')));
  if (result.success) return result.data;
  throw validationFailed(result.error.issues.flatMap((issue) => fieldErrors(issue, 'form')));
}

// Of fields that nobody knows there may be as many, and as long ones, as a body has room for.
const mostUnknown = 10;
const longestUnknown = 100;

/** What an issue says of the fields it is about; `where` is the name of the whole. */
export function fieldErrors(issue: z.core.$ZodIssue, where: string): readonly FieldError[] {
  if (issue.code === 'invalid_union') {
    const [ofField = []] = issue.errors; // the other is null
    return ofField.flatMap((each) => fieldErrors({ ...each, path: [...issue.path, ...each.path] }, where));
  }
  if (issue.code !== 'unrecognized_keys') return [{ field: issue.path.join('.') || where, message: issue.message }];
  return issue.keys.slice(0, mostUnknown).map((key) => ({
    field: [...issue.path, key.slice(0, longestUnknown).toWellFormed()].join('.'),
    message: 'is no field of this request',
  }));
}
