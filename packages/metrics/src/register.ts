import type { OpenMetricsContentType, PrometheusContentType, Registry } from 'prom-client';

/** A prom-client registry with either text format. */
export type MetricRegister = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>;

/**
 * The metric of this name if the register already holds it, so that mounting twice counts into one.
 * @throws Error when it is of another kind or has other labels: counting would fail later, inside a request
 */
export function existingMetric<M>(
  register: MetricRegister,
  type: 'counter' | 'histogram',
  name: string,
  labelNames: readonly string[],
): M | undefined {
  // prom-client's types omit these run-time properties.
  const found = register.getSingleMetric(name) as { readonly type?: string; readonly labelNames?: readonly string[] } | undefined;
  if (found === undefined) return undefined;
  const isSame = found.type === type && found.labelNames?.toSorted().join() === labelNames.toSorted().join();
  if (!isSame)
    throw new Error(
      `The register holds another metric named ${name}; it would have to be a ${type} with the labels ${labelNames.join(', ')}.`,
    );
  return found as M;
}

/** Runs `work` whenever the metric is read, before its own `collect`. */
export function beforeRead(metric: object, work: () => void): void {
  // prom-client calls this option, whether or not a `collect` was given.
  const collected = metric as { collect?: () => unknown };
  const original = collected.collect;
  collected.collect = () => {
    work();
    return original?.call(metric);
  };
}
