import type { OpenMetricsContentType, PrometheusContentType, Registry } from 'prom-client';

/** A prom-client registry of either text format. */
export type MetricRegister = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>;

/**
 * The metric of this name that the register already holds, so that mounting twice counts into one.
 * @throws Error when it is another kind of metric or has other labels: counting would fail later, inside a request
 */
export function mounted<M>(
  register: MetricRegister,
  type: 'counter' | 'histogram',
  name: string,
  labelNames: readonly string[],
): M | undefined {
  // prom-client's types leave out what its metrics have at run time.
  const found = register.getSingleMetric(name) as { readonly type?: string; readonly labelNames?: readonly string[] } | undefined;
  if (found === undefined) return undefined;
  const same = found.type === type && found.labelNames?.toSorted().join() === labelNames.toSorted().join();
  if (!same)
    throw new Error(
      `The register holds another metric named ${name}; it would have to be a ${type} with the labels ${labelNames.join(', ')}.`,
    );
  return found as M;
}

/** Has something done whenever the metric is read, before anything else that is. */
export function beforeRead(metric: object, work: () => void): void {
  // prom-client calls it so; it is an option that nobody else has to have given.
  const collected = metric as { collect?: () => unknown };
  const before = collected.collect;
  collected.collect = () => {
    work();
    return before?.call(metric);
  };
}
