import { isStorageError, storageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

import { docsRoutes } from './docs-page.ts';
import { healthRoutes } from './health.ts';
import { metricsRoute } from './metrics.ts';
import { allow, authenticate, storageEnabled } from './middleware.ts';
import { problemHeaders, problemOf, toStorageError } from './problem.ts';
import { Router } from './router.ts';
import { tenantRoutes } from './routes/admin/tenants.ts';
import { downloadRoutes, publicFileRoute } from './routes/files/download.ts';
import { presignedUploadRoutes } from './routes/files/presigned-upload.ts';
import { fileRecordRoutes } from './routes/files/records.ts';
import { uploadRoute } from './routes/files/upload.ts';
import { objectAclRoutes } from './routes/storage/acl.ts';
import { bucketSettingRoutes } from './routes/storage/bucket-settings.ts';
import { bucketRoutes } from './routes/storage/buckets.ts';
import { copyRoutes } from './routes/storage/copy.ts';
import { objectRoutes } from './routes/storage/objects.ts';
import { uploadObjectRoutes } from './routes/storage/upload-object.ts';
import type { Services } from './services.ts';
import { version } from './version.ts';

/** The whole API: who may pass, then what there is. */
export function createApp(services: Services): Router['app'] {
  const router = new Router();
  const { app } = router;
  const signedIn = authenticate(services);
  const enabled = storageEnabled(services);

  app.use('/api/v1/files', signedIn, enabled);
  app.use('/api/v1/files/*', signedIn, enabled);
  app.use('/api/v1/storage/*', signedIn, allow('admin', 'service'), enabled);
  app.use('/api/v1/admin/*', signedIn);
  app.use('/api/v1/public/*', enabled);

  uploadRoute(router, services);
  presignedUploadRoutes(router, services);
  fileRecordRoutes(router, services);
  downloadRoutes(router, services);
  publicFileRoute(router, services);

  objectAclRoutes(router, services);
  objectRoutes(router, services);
  uploadObjectRoutes(router, services);
  copyRoutes(router, services);
  bucketRoutes(router, services);
  bucketSettingRoutes(router, services);
  tenantRoutes(router, services);

  healthRoutes(router, services);
  metricsRoute(router, services);
  docsRoutes(router, { version, publicUrl: services.runtime.config.server.publicUrl });

  app.notFound((c) => router.unmatched(c));
  app.onError((thrown, c) => {
    const { exchange } = c.env;
    exchange.error = thrown;
    const error = exchange.signal.aborted && !isStorageError(thrown) ? clientLeft(thrown) : toStorageError(thrown);
    const problem = problemOf(error, exchange.requestId);
    return c.body(JSON.stringify(problem), problem.status as 400, problemHeaders(error));
  });
  return app;
}

// Nobody reads this answer; it only keeps a client that went away from counting as a failure of ours.
function clientLeft(cause: unknown): StorageError {
  return storageError('validation_failed', 'The client went away before the request was whole.', { cause });
}
