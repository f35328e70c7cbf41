import { z } from '@hono/zod-openapi';

import type { FieldError } from '@coffer/storage-core';
import { validationFailed } from '@coffer/storage-core/http';

/**
 * A JSON object in a request. An unknown field is an error, since a misspelt one would be lost silently. null counts as omitted where a
 * field is optional and null means nothing else, since many clients write null for every field without a value.
 */
export function bodySchema<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  const fields = Object.entries(shape).map(([name, field]) => [name, nullable(field as z.ZodType)]);
  return z.strictObject(Object.fromEntries(fields) as S);
}

/**
 * The body of a change to a resource. All other fields of the resource are accepted and ignored, for clients that send back what they
 * received. null is an error where nothing can be removed, since in a change it may mean removal.
 */
export function changeSchema<S extends z.ZodRawShape>(resource: z.ZodObject, shape: S): z.ZodObject<S, z.core.$strict> {
  const ignored = z.unknown().optional().openapi({ readOnly: true, description: 'Cannot be changed; a value given here is ignored.' });
  const ignoredFields = Object.keys(resource.shape).map((name) => [name, ignored]);
  return z.strictObject({ ...Object.fromEntries(ignoredFields), ...shape }) as z.ZodObject<S, z.core.$strict>;
}

// A union, because the OpenAPI document would be wrong for a nullable schema with a name, or with a type given outside the schema.
function nullable(field: z.ZodType): z.ZodType {
  const isOptional = field.safeParse(undefined).success;
  if (!isOptional || field.safeParse(null).success) return field;
  return z.union([field, z.null().transform(() => undefined)]);
}

/**
 * The fields of a form; a field with an empty value counts as omitted.
 * @throws validation_failed
 */
export function formFields<S extends z.ZodObject>(schema: S, fields: ReadonlyMap<string, string>): z.output<S> {
  const result = schema.safeParse(Object.fromEntries([...fields].filter(([, value]) => value !== '')));
  if (result.success) return result.data;
  throw validationFailed(result.error.issues.flatMap((issue) => fieldErrors(issue, 'form')));
}

// A body has room for many unknown fields, and for long ones.
const maxUnknownFields = 10;
const maxFieldNameLength = 100;

/** The field errors of an issue; `where` names the whole body, query or path. */
export function fieldErrors(issue: z.core.$ZodIssue, where: string): readonly FieldError[] {
  if (issue.code === 'invalid_union') {
    const [fieldIssues = []] = issue.errors; // the other option is null
    return fieldIssues.flatMap((each) => fieldErrors({ ...each, path: [...issue.path, ...each.path] }, where));
  }
  if (issue.code !== 'unrecognized_keys') return [{ field: issue.path.join('.') || where, message: issue.message }];
  return issue.keys.slice(0, maxUnknownFields).map((key) => ({
    field: [...issue.path, key.slice(0, maxFieldNameLength).toWellFormed()].join('.'),
    message: 'is no field of this request',
  }));
}
