import type { Observer } from '@coffer/storage-core';
import { Counter, Histogram } from 'prom-client';

import { beforeRead, existingMetric } from './register.ts';
import type { MetricRegister } from './register.ts';
import { tenantLabel } from './tenant-label.ts';
import { Tallies } from './tally.ts';
import type { TenantLabel } from './tenant-label.ts';

/** Where and how calls are counted. */
export interface PrometheusObserverOptions {
  readonly register: MetricRegister;
  readonly tenants?: {
    /** Number of tenants with their own label; the rest share `other`. Default 1,000. */
    readonly max?: number;
  };
}

/** Upper bounds in seconds: from a small object on a local disk to a large one that takes the whole default timeout. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Holds the tenants that have labels, so that all observers on one register share one limit. */
class OperationsTotal extends Counter<string> {
  tenantLabel: TenantLabel | undefined;
}

/**
 * Counts what a StorageService does in the metrics of a prom-client register: operations and their durations, errors, and bytes as they
 * pass. If the register already has these metrics, they are reused, along with the tenant limit of the first observer.
 * @throws Error when the register holds a different metric under one of these names
 */
export function prometheusObserver({ register, tenants }: PrometheusObserverOptions): Observer {
  const counter = (name: string, help: string, labelNames: readonly string[]): Counter<string> =>
    existingMetric<Counter<string>>(register, 'counter', name, labelNames) ??
    new Counter({ name, help, labelNames, registers: [register] });

  const operationsName = 'storage_operations_total';
  const operationsLabels = ['operation', 'status', 'backend', 'tenant'];
  const operations =
    existingMetric<OperationsTotal>(register, 'counter', operationsName, operationsLabels) ??
    new OperationsTotal({ name: operationsName, help: 'Storage operations.', labelNames: operationsLabels, registers: [register] });
  const errors = counter('storage_errors_total', 'Storage operations that failed.', ['operation', 'backend', 'tenant']);
  const uploaded = counter('storage_upload_bytes_total', 'Bytes uploaded, counted as they pass.', ['backend', 'tenant']);
  const downloaded = counter('storage_download_bytes_total', 'Bytes downloaded, counted as they pass.', ['backend', 'tenant']);
  const onBuckets = counter('storage_bucket_operations_total', 'Operations on buckets.', ['operation', 'status']);
  const onAcls = counter('storage_acl_operations_total', 'Operations on ACLs.', ['operation', 'status']);

  const durationName = 'storage_operation_duration_seconds';
  const durationLabels = ['operation', 'backend', 'tenant'];
  const duration =
    existingMetric<Histogram<string>>(register, 'histogram', durationName, durationLabels) ??
    new Histogram({
      name: durationName,
      help: 'Seconds until a storage operation was over; of a download, until its last byte.',
      labelNames: durationLabels,
      buckets: durationBuckets,
      registers: [register],
    });

  const labelOf = (operations.tenantLabel ??= tenantLabel(tenants?.max));

  const tallies = new Tallies({
    operations({ labels, success, error, seconds }) {
      const { operation, backend, tenant } = labels;
      // prom-client writes labels in the order given: the documented order, for those who read the text.
      if (success > 0) operations.inc({ operation, status: 'success', backend, tenant }, success);
      if (error > 0) {
        operations.inc({ operation, status: 'error', backend, tenant }, error);
        errors.inc(labels, error);
      }
      for (const each of seconds) duration.observe(labels, each);
    },
    bytes({ labels, upload, download }) {
      if (upload > 0) uploaded.inc(labels, upload);
      if (download > 0) downloaded.inc(labels, download);
    },
  });
  for (const metric of [operations, errors, uploaded, downloaded, duration]) beforeRead(metric, () => tallies.flush());

  return {
    operation(event) {
      const { operation, kind, tenant, outcome: status } = event;
      tallies.operation(event, labelOf(tenant));
      if (kind === 'bucket') onBuckets.inc({ operation, status });
      if (kind === 'acl') onAcls.inc({ operation, status });
    },
    transfer: (event) => tallies.transfer(event, labelOf(event.tenant)),
  };
}
