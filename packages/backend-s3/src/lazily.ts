type Method = (...args: readonly never[]) => Promise<unknown>;

/** Operations that are loaded, all of them, once one of them is called. The compiler sees to it that every one is named. */
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
