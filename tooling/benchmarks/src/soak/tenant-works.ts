import type { Work } from './object-works.ts';
import { json, randomOf } from './scene.ts';

/** Bytes: more than anybody uploads. */
const largeQuota = 2 ** 40;
/** A tenant that has had this many slugs is not renamed again. */
const maxSlugs = 200;

interface TenantRow {
  readonly tenant_uuid: string;
  readonly tenant_slug: string;
  readonly quota_bytes: number | null;
}

/** Operations on tenants while their users are at work, who must notice nothing. */
export const tenantWorks: Readonly<Record<string, Work>> = {
  'tenant renamed': async (scene, tenant) => {
    const { tenant_uuid, slugs } = tenant;
    if (slugs.length >= maxSlugs) return 'idle';
    const tenant_slug = `${tenant.tenant_slug}-${crypto.randomUUID()}`;
    // Another client may have renamed it since.
    await scene.call('admin', undefined, `admin/tenants/${tenant_uuid}`, [200], { ...json({ tenant_slug }), method: 'PATCH' });
    slugs.push(tenant_slug);
    return 0;
  },

  'tenant quota': async (scene, { tenant_uuid }) => {
    const quota_bytes = randomOf([null, largeQuota]);
    const change = { ...json({ quota_bytes }), method: 'PATCH' };
    const { text } = await scene.call('admin', undefined, `admin/tenants/${tenant_uuid}`, [200], change);
    const row = JSON.parse(text) as TenantRow;
    if (row.tenant_uuid !== tenant_uuid || (row.quota_bytes ?? largeQuota) !== largeQuota)
      throw new Error(`A new quota was answered ${text}`);
    return 0;
  },
};
