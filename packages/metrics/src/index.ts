export { prometheusObserver } from './prometheus-observer.ts';
export type { PrometheusObserverOptions } from './prometheus-observer.ts';
export type { MetricRegister } from './register.ts';
export { tenantLabel } from './tenant-label.ts';
export type { TenantLabel } from './tenant-label.ts';
export { tenantUsageGauge } from './tenant-usage.ts';
export type { TenantUsage, TenantUsageGaugeOptions } from './tenant-usage.ts';
