import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';

import { docsRoutes } from './docs-page.ts';
import { guard } from './guard.ts';
import { healthRoutes } from './health.ts';
import { metricsRoute } from './metrics.ts';
import { answerError } from './responses.ts';
import { Router } from './router.ts';
import { tenantRoutes } from './routes/admin/tenants.ts';
import { downloadRoutes, publicFileRoute } from './routes/files/download.ts';
import { presignedUploadRoutes } from './routes/files/presigned-upload.ts';
import { fileRecordRoutes } from './routes/files/records.ts';
import { uploadRoute } from './routes/files/upload.ts';
import { localPaths } from './routes/local.ts';
import { objectAclRoutes } from './routes/storage/acl.ts';
import { bucketSettingRoutes } from './routes/storage/bucket-settings.ts';
import { bucketRoutes } from './routes/storage/buckets.ts';
import { copyRoutes } from './routes/storage/copy.ts';
import { objectRoutes } from './routes/storage/objects.ts';
import { uploadObjectRoutes } from './routes/storage/upload-object.ts';
import type { Services } from './services.ts';

/** The whole API: all routes, and how every error is answered. */
export function createApp(services: Services): Router['app'] {
  const router = new Router(guard(services));
  const { app } = router;

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

  localPaths(router);
  healthRoutes(router, services);
  metricsRoute(router, services);
  docsRoutes(router, services);

  app.notFound((c) => router.unmatched(c));
  app.onError(async (thrown, c) => {
    await answerError(thrown, c.env.incoming, c.env.outgoing);
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}
