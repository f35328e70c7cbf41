import { z } from '@hono/zod-openapi';

import type { LateFields } from '@coffer/files-db';
import { validationFailed } from '@coffer/storage-core/http';

import { parseJson } from '../../http/json-body.ts';
import { formFields } from '../../request-body.ts';
import { booleanText, plainText } from '../../schemas.ts';

/** What is no uuid is no file's: 404, as for any other file that is not there. */
export const FileId = z.object({
  id: z.string().openapi({ param: { name: 'id', in: 'path' }, format: 'uuid', example: '019b2c3d-4e5f-7a6b-8c7d-9e0f1a2b3c4d' }),
});

/** A record would lose a key "__proto__" without a word; what there may be in an object is for the file service to say. */
export const Metadata = z
  .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'not a JSON object')
  .openapi({ type: 'object', additionalProperties: {}, description: 'Any JSON object, up to 16 KiB.', example: { project: 'apollo' } });

const fields = z.object({
  owner_id: plainText(255).optional(),
  is_public: booleanText.optional(),
  metadata: z.string().transform(metadataOf).pipe(Metadata).optional(),
});

export const fieldNames: readonly string[] = fields.keyof().options;

const none: LateFields = {};

/** The fields of an upload form, whichever side of the file they came. @throws validation_failed */
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
