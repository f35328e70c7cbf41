import { z } from '@hono/zod-openapi';

import type { LateFields } from '@coffer/files-db';
import { validationFailed } from '@coffer/storage-core/http';

import { formFields } from '../../body-schemas.ts';
import { parseJson } from '../../http/json-body.ts';
import { booleanText, Subject } from '../../request-schemas.ts';

/** Any string: one that is not a uuid names no file, so it is 404 like every missing file. */
export const FileId = z.object({
  id: z.string().openapi({
    param: { name: 'id', in: 'path' },
    description: 'Id of a file.',
    format: 'uuid',
    example: '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d',
  }),
});

/** As the file service has them. */
export const metadataRules =
  'A JSON object, up to 16 KiB and 32 levels deep, without U+0000, without a key `__proto__`, and without numbers beyond the range of a double or whole numbers whose digits it does not keep.';

/** Custom, since a record would silently drop a key "__proto__". The file service decides what the object may contain. */
export const Metadata = z
  .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'not a JSON object')
  .openapi({ type: 'object', additionalProperties: {}, description: metadataRules, example: { project: 'apollo' } });

const fields = z.object({
  owner_id: Subject.optional(),
  is_public: booleanText.optional(),
  metadata: z.string().transform(metadataOf).pipe(Metadata).optional(),
});

export const fieldNames: readonly string[] = fields.keyof().options;

const none: LateFields = {};

/** The fields of an upload form, before or after the file. @throws validation_failed */
export function uploadFieldsOf(form: ReadonlyMap<string, string>): LateFields {
  if (form.size === 0) return none;
  const { owner_id: ownerId, is_public: isPublic, metadata } = formFields(fields, form);
  return { ownerId, isPublic, metadata };
}

function metadataOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw validationFailed([{ field: 'metadata', message: 'not valid JSON' }]);
  }
}
