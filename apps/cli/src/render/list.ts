import type { ListPage, ObjectSummary } from '@coffer/storage-core';

import type { Output } from '../output.ts';
import { JsonDocument } from './json-document.ts';
import { printable } from './printable.ts';

/** Renders page by page, so that a listing of any length takes the same memory. */
export async function renderList(pages: AsyncIterable<ListPage>, output: Output): Promise<void> {
  if (output.json) return renderJson(pages, output);
  for await (const { objects, commonPrefixes } of pages) {
    output.write(lines(objects, commonPrefixes));
    await output.ready();
    if (output.isClosed) return;
  }
}

async function renderJson(pages: AsyncIterable<ListPage>, output: Output): Promise<void> {
  const document = new JsonDocument(output);
  const prefixes: string[] = [];
  let truncated = false;
  await document.guard(async () => {
    try {
      for await (const page of pages) {
        document.array('objects', page.objects.map(objectJson));
        prefixes.push(...page.commonPrefixes);
        truncated = page.isTruncated;
        await output.ready();
        if (output.isClosed) return;
      }
    } finally {
      if (prefixes.length > 0) document.value('common_prefixes', prefixes);
    }
    document.value('truncated', truncated);
  });
}

function lines(objects: readonly ObjectSummary[], commonPrefixes: readonly string[]): string {
  let text = '';
  for (const prefix of commonPrefixes) text += `${''.padEnd(20)}  ${''.padStart(12)}  ${printable(prefix)}\n`;
  for (const { lastModified, size, key } of objects) text += `${timeText(lastModified)}  ${String(size).padStart(12)}  ${printable(key)}\n`;
  return text;
}

function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

function objectJson({ key, size, etag, lastModified, storageClass }: ObjectSummary): object {
  return { key, size_bytes: size, etag, last_modified: lastModified.toISOString(), storage_class: storageClass };
}
