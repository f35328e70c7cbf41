import { createRuntime, parseConfig } from '@coffer/runtime';

const { files, storage, close } = await createRuntime(parseConfig(process.env), { checksTokens: false });

const tenantContext = { tenantUuid: `of-${process.pid}`, tenantSlug: 'acme' };
const upload = async (body: string) =>
  files.uploadFile({ body, filename: 'hello.txt', contentType: 'text/plain', ownerId: 'user-1', tenantContext });
const records = await Promise.all(Array.from({ length: 20 }, async (_, index) => upload(`Hello ${index}`)));
for (const record of records) {
  console.log(record.status, String(await storage.downloadFile({ bucket: record.bucket, key: record.storageKey })));
}
await close();
console.log('closed');
