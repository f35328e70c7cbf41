import type { Tenant } from '@coffer/files-db';

import { StorageCommand } from '../../../base-command.ts';
import { JsonDocument } from '../../../render/json-document.ts';
import { tenantJson, tenantTable } from '../../../render/tenant.ts';
import type { Session } from '../../../services/open-session.ts';
import { allTenants } from '../../../services/tenants.ts';

export default class TenantsList extends StorageCommand {
  static override readonly summary = 'List the registered tenants.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %>',
    { description: 'Only the slugs', command: "<%= config.bin %> <%= command.id %> --json | jq -r '.tenants[].tenant_slug'" },
  ];

  async run(): Promise<void> {
    const { flags } = await this.parse(TenantsList);
    const document = new JsonDocument(this.output);
    const all: Tenant[] = [];
    const list = async (session: Session): Promise<void> => {
      for await (const tenants of allTenants(session)) {
        if (this.output.json) document.array('tenants', tenants.map(tenantJson));
        else all.push(...tenants);
        await this.output.ready();
      }
    };
    await document.guard(() => this.withSession(flags, list, { database: true }));
    if (all.length > 0) this.output.line(tenantTable(all));
  }
}
