import dns from 'node:dns';

/**
 * Lets this process resolve `bucket.s3.localhost`, as browsers do (RFC 6761, section 6.3) and the system's resolver may not.
 * @returns the host names that were looked up
 */
export function findHostsBelowLocalhost(): ReadonlySet<string> {
  const { lookup } = dns;
  const asked = new Set<string>();
  dns.lookup = Object.assign((hostname: string, ...rest: unknown[]) => {
    asked.add(hostname);
    (lookup as (...args: unknown[]) => void)(hostname.endsWith('.localhost') ? '127.0.0.1' : hostname, ...rest);
  }, lookup) as typeof lookup;
  return asked;
}
