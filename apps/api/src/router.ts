import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { RouteConfig } from '@hono/zod-openapi';

import { storageError } from '@coffer/storage-core';
import type { FieldError } from '@coffer/storage-core';
import { validationFailed } from '@coffer/storage-core/http';

import type { AppContext, AppEnv } from './app-env.ts';
import { fieldErrors } from './body-schemas.ts';
import { answerHeaders, tenantHeader } from './documented-headers.ts';
import type { Access } from './guard.ts';
import { readJson } from './http/json-body.ts';
import { parseQuery } from './http/query.ts';
import { RouteTable } from './route-table.ts';

// A body may have errors in each of a thousand items.
const maxErrors = 100;

/** The input of a route, stated once: the same schemas validate it and appear in the OpenAPI document. */
interface RouteInput<P extends z.ZodType, Q extends z.ZodType, J extends z.ZodType> {
  readonly params?: P;
  readonly query?: Q;
  /** The JSON body. A form or a raw body is only documented, in `body`. */
  readonly json?: J;
  /** Largest JSON body in bytes. Default 1 MiB. */
  readonly maxJsonBytes?: number;
  /** Documented only. X-Tenant-ID is added for routes that work for a tenant. */
  readonly headers?: z.ZodObject;
  /** OpenAPI description of a body that is streamed. */
  readonly body?: Record<string, { readonly schema: object }>;
}

export interface Route<P extends z.ZodType, Q extends z.ZodType, J extends z.ZodType> {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{name}` for parameters, of which `{key}` spans slashes. */
  readonly path: string;
  /** Documents HEAD too, which every GET answers. */
  readonly head?: true;
  /** HEAD of this path is left to the routes registered after this one. */
  readonly headHandledElsewhere?: true;
  /** Also answers with a trailing slash. */
  readonly collection?: true;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly access: Access;
  readonly request?: RouteInput<P, Q, J>;
  readonly responses: RouteConfig['responses'];
  readonly handler: (
    c: AppContext,
    input: { readonly params: z.output<P>; readonly query: z.output<Q>; readonly json: z.output<J> },
  ) => Promise<Response> | Response;
}

/**
 * Routes on the raw request path and remembers which methods a path accepts. Hono's own validators are not used: the
 * one for forms buffers whole bodies, and the one for JSON has no size limit.
 */
export class Router {
  readonly app: OpenAPIHono<AppEnv>;
  readonly #guard: (c: AppContext, access: Access) => Promise<void>;
  readonly #methods = new RouteTable<string>();
  /** Methods of paths without parameters. As in OpenAPI, these precede paths with parameters: `/files/upload` is not a file id. */
  readonly #fixed = new Map<string, Set<string>>();

  /** @param guard called before a route reads anything of its request; throws when the caller may not use the route */
  constructor(guard: (c: AppContext, access: Access) => Promise<void>) {
    this.#guard = guard;
    this.app = new OpenAPIHono<AppEnv>({
      router: new RouteTable(),
      getPath: (_request, options) => (options!.env as AppEnv['Bindings']).exchange.path,
    });
  }

  add<P extends z.ZodType = z.ZodUndefined, Q extends z.ZodType = z.ZodUndefined, J extends z.ZodType = z.ZodUndefined>(
    route: Route<P, Q, J>,
  ): void {
    const { path, request, handler, access, operationId } = route;
    const method = route.method.toUpperCase();
    const pattern = path.replace('{key}', ':key{.+}').replaceAll(/\{(\w+)\}/g, ':$1');
    this.describe(route);
    const patterns = route.collection === true ? [pattern, `${pattern}/`] : [pattern];
    const isFixed = !/[:*]/.test(pattern);
    for (const each of patterns) {
      if (isFixed) this.#fixed.set(each, (this.#fixed.get(each) ?? new Set()).add(method));
      else this.#methods.add('ANY', each, method);
    }
    const querySchema = route.method === 'get' ? request?.query : strictQuery(request?.query);
    this.app.on(method, patterns, async (c, next) => {
      const { exchange } = c.env;
      if (route.headHandledElsewhere === true && exchange.incoming.method === 'HEAD') return next();
      if (!isFixed && this.#fixed.has(exchange.path)) return next();
      exchange.operation = operationId;
      exchange.route = path;
      await this.#guard(c, access);
      const errors: FieldError[] = [];
      const check = <S extends z.ZodType>(schema: S | undefined, where: string, value: unknown): z.output<S> => {
        if (schema === undefined) return undefined as z.output<S>;
        const result = schema.safeParse(value);
        if (result.success) return result.data;
        errors.push(...result.error.issues.flatMap((issue) => fieldErrors(issue, where)));
        return undefined as z.output<S>;
      };
      const params = check(request?.params, 'path', request?.params && c.req.param());
      const query = check(querySchema, 'query', querySchema && parseQuery(exchange.query)) as z.output<Q>;
      const json = check(request?.json, 'body', request?.json && (await readJson(exchange.incoming, { maxBytes: request.maxJsonBytes })));
      if (errors.length > 0) throw validationFailed(errors.slice(0, maxErrors));
      return handler(c, { params, query, json });
    });
  }

  /** For a path that no route handled: 405 with the allowed methods, or 204 with them for OPTIONS; 404 if the path is unknown. */
  unmatched(c: AppContext): Response {
    const { incoming, outgoing, path } = c.env.exchange;
    const methods = new Set(this.#fixed.get(path) ?? this.#methods.match('ANY', path)[0].map(([method]) => method));
    if (methods.size === 0)
      throw storageError('not_found', `There is nothing at ${path.slice(0, 200)}; GET /openapi.json lists all routes.`);
    if (methods.has('GET')) methods.add('HEAD');
    const allow = [...methods, 'OPTIONS'].sort().join(', ');
    if (incoming.method === 'OPTIONS') return c.body(null, 204, { allow });
    outgoing.setHeader('allow', allow);
    throw storageError('method_not_allowed', `${incoming.method} is not allowed here; use ${allow}.`);
  }

  /** Documents a route. `add` calls it; call it directly for what is answered without this router. */
  describe<P extends z.ZodType, Q extends z.ZodType, J extends z.ZodType>(route: Omit<Route<P, Q, J>, 'handler'>): void {
    const { request, access } = route;
    const forTenant = access.role === 'user' || access.role === 'service' ? tenantHeader : undefined;
    const headers = request?.headers === undefined ? forTenant : (forTenant?.extend(request.headers.shape) ?? request.headers);
    const content = request?.json === undefined ? request?.body : { 'application/json': { schema: request.json } };
    const documentedRequest = {
      ...(request?.params !== undefined && { params: request.params }),
      ...(request?.query !== undefined && { query: request.query }),
      ...(headers !== undefined && { headers }),
      ...(content !== undefined && { body: { content, required: request?.json?.safeParse(undefined).success !== true } }),
    };
    const operation = {
      path: route.path,
      ...(route.description !== undefined && { description: route.description }),
      tags: [...route.tags],
      ...(access.role === 'anybody' ? { security: [] } : {}),
      request: documentedRequest as unknown as NonNullable<RouteConfig['request']>,
    };
    const { method, operationId, summary } = route;
    const responses = Object.fromEntries(
      Object.entries(route.responses).map(([status, answer]) => [
        status,
        { ...answer, headers: { ...answerHeaders, ...headersIn(answer) } },
      ]),
    );
    this.app.openAPIRegistry.registerPath({ ...operation, method, operationId, summary, responses });
    if (route.head !== true) return;
    this.app.openAPIRegistry.registerPath({
      ...operation,
      method: 'head',
      operationId: `${operationId}Head`,
      summary: `${summary}: only the headers`,
      responses: withoutBodies(responses),
    });
  }
}

/**
 * Routes that change something refuse unknown parameters: with a misspelt `bucket` they would change another one. Reads accept them,
 * because caches, browsers and analytics add parameters of their own.
 */
function strictQuery(query: z.ZodType | undefined): z.ZodType {
  return query instanceof z.ZodObject ? query.strict() : z.strictObject({});
}

function withoutBodies(responses: RouteConfig['responses']): RouteConfig['responses'] {
  const withoutBody = (answer: RouteConfig['responses'][string]): typeof answer => {
    const { content: _content, ...head } = { content: undefined, ...answer };
    return head;
  };
  return Object.fromEntries(Object.entries(responses).map(([status, answer]) => [status, withoutBody(answer)]));
}

function headersIn(answer: RouteConfig['responses'][string]): object {
  return 'headers' in answer ? (answer.headers ?? {}) : {};
}
