import type { IncomingMessage } from 'node:http';

// RFC 3986, section 3.2: a name or an address, and a port.
const hostPattern = /^(?:(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*|\[[\da-f:.]+\])(?::\d*)?$/i;

/** RFC 9112, section 3.2: an HTTP/1.1 request names its host, once. */
export function hasValidHost({ headers: { host }, httpVersion, rawHeaders }: IncomingMessage): boolean {
  const isNamed = host !== undefined || httpVersion === '1.0';
  return isNamed && hostPattern.test(host ?? '') && countHosts(rawHeaders) <= 1;
}

/** Number of Host headers; Node keeps the first one. */
function countHosts(headers: readonly string[]): number {
  let hosts = 0;
  for (let name = 0; name < headers.length; name += 2) if (headers[name]!.length === 4 && headers[name]!.toLowerCase() === 'host') hosts++;
  return hosts;
}
