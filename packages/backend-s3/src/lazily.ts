type Method = (...args: readonly never[]) => Promise<unknown>;

/**
 * Operations that are loaded, all together, when one of them is first called. The type of `names` makes the compiler check that none is
 * missing.
 */
export function lazily<T extends object>(names: Readonly<Record<keyof T, true>>, load: () => Promise<T>): T {
  let loading: Promise<T> | undefined;
  const loaded = (): Promise<T> => {
    loading ??= load();
    loading.catch(() => (loading = undefined)); // the next call tries again
    return loading;
  };
  const entries = (Object.keys(names) as (keyof T)[]).map((name) => {
    const method = async (...args: readonly never[]): Promise<unknown> => ((await loaded())[name] as Method)(...args);
    return [name, method];
  });
  return Object.fromEntries(entries) as T;
}
