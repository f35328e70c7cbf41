import { answering } from './scripted.ts';
import type { Answer, Scripted } from './scripted.ts';

type Request = Parameters<Answer>[0];

export const mib = 2 ** 20;
export const source = { bucket: 'bucket', key: 'source' };
export const destination = { bucket: 'bucket', key: 'copy' };

/** Answers to HEAD that there is such an object. */
export const there =
  (etag: string, size = 9 * mib, version = 'null'): Answer =>
  (_request, response) => {
    const headers = { etag: `"${etag}"`, 'content-length': size, 'content-type': 'text/plain', 'x-amz-version-id': version };
    response.writeHead(200, headers).end();
  };

/** Whether it asks for an object's bytes. */
export const isRead = ({ method, url = '' }: Request): boolean => method === 'GET' && !/acl|tagging|versioning/.test(url);

/** Whether it brings bytes, rather than the name of what is to be copied. */
export const isWrite = ({ method, headers }: Request): boolean => method === 'PUT' && headers['x-amz-copy-source'] === undefined;

/** Answers to GET with `x` for every byte that is asked for. */
export const reading =
  (etag: string, size: number): Answer =>
  ({ headers }, response) => {
    const { range } = headers;
    const [first = 0, last = size - 1] = (range ?? '').replace('bytes=', '').split('-').filter(Boolean).map(Number);
    const described = range === undefined ? {} : { 'content-range': `bytes ${first}-${last}/${size}` };
    response.writeHead(range === undefined ? 200 : 206, { etag: `"${etag}"`, ...described, 'content-length': last + 1 - first });
    response.end(Buffer.alloc(last + 1 - first, 'x'));
  };

const privately = answering('<AccessControlPolicy><Owner><ID></ID></Owner><AccessControlList/></AccessControlPolicy>');
const copied = answering('<CopyObjectResult><ETag>&quot;copied&quot;</ETag></CopyObjectResult>');
const partCopied = answering('<CopyPartResult><ETag>&quot;part&quot;</ETag></CopyPartResult>');
const begun = answering('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
const completed = answering('<CompleteMultipartUploadResult><ETag>&quot;copied&quot;</ETag></CompleteMultipartUploadResult>');

/** A server that copies whatever it is asked to. @param look answers to HEAD */
export const copying =
  (look: Answer): Answer =>
  (request, response) => {
    const { method, url = '' } = request;
    if (method === 'HEAD') return look(request, response);
    if (method === 'GET') return privately(request, response);
    if (method === 'DELETE') return response.writeHead(204).end();
    if (method === 'POST') return (url.includes('uploadId=') ? completed : begun)(request, response);
    return (url.includes('partNumber=') ? partCopied : copied)(request, response);
  };

/** The paths of the requests that came with this method, oldest first. */
export const seen = ({ requests }: Scripted, method: string): readonly string[] =>
  requests.filter((request) => request.method === method).map(({ url = '' }) => url.replace(/[?&]x-id=\w+/, ''));
