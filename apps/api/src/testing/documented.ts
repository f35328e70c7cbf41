import { send } from './send.ts';

interface Operation {
  readonly operationId?: string;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

/** The logged answers whose status or code the OpenAPI document lacks for their operation. */
export async function undocumented(url: string, log: readonly Record<string, unknown>[]): Promise<string[]> {
  const { json } = await send(url, 'GET', '/openapi.json');
  const { paths } = json as { paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };
  const operations = new Map<unknown, Operation>();
  for (const path of Object.values(paths)) for (const operation of Object.values(path)) operations.set(operation.operationId, operation);
  const missing = new Set<string>();
  for (const line of log) {
    if (line['msg'] !== 'request' || line['aborted'] === true || line['operation'] === undefined) continue;
    const { operation, status, code } = line as { operation: string; status: number; code?: string };
    const response = operations.get(operation)?.responses[status];
    const isTold = response !== undefined && (code === undefined || response.description.includes(`\`${code}\``));
    if (!isTold && code !== 'internal_error') missing.add(`${operation}: ${status} ${code ?? ''}`);
  }
  return [...missing].sort();
}
