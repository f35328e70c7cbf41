/**
 * Whether `origin`, as a browser sends it, is allowed. `allowed` holds `*` for all, or origins whose host may begin with `*.` for every
 * subdomain.
 */
export function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  const normalized = origin.toLowerCase();
  return allowed.some((pattern) => pattern === '*' || matchesPattern(pattern.toLowerCase(), normalized));
}

function matchesPattern(pattern: string, origin: string): boolean {
  const [scheme, host] = pattern.split('//*.');
  if (host === undefined) return pattern === origin;
  return origin.startsWith(`${scheme}//`) && origin.endsWith(`.${host}`) && origin.length > `${scheme}//.${host}`.length;
}
