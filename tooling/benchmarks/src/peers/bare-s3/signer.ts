import { createHash, createHmac } from 'node:crypto';

const region = 'us-east-1';
const algorithm = 'AWS4-HMAC-SHA256';
const unsigned = 'UNSIGNED-PAYLOAD';
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Signature V4 for one host, with the least possible work: keys need no encoding, and bodies are not hashed. */
export class Signer {
  readonly #host: string;
  readonly #accessKey: string;
  readonly #secretKey: string;
  #day = '';
  #key: Buffer = Buffer.alloc(0);

  constructor(host: string, accessKey: string, secretKey: string) {
    this.#host = host;
    this.#accessKey = accessKey;
    this.#secretKey = secretKey;
  }

  /** Headers of a request. `query` must already be canonical. */
  headers(method: string, path: string, query: string): Record<string, string> {
    const time = now();
    const names = 'host;x-amz-content-sha256;x-amz-date';
    const fields = `host:${this.#host}\nx-amz-content-sha256:${unsigned}\nx-amz-date:${time}\n`;
    const signature = this.#sign(time, `${method}\n${path}\n${query}\n${fields}\n${names}\n${unsigned}`);
    return {
      host: this.#host,
      'x-amz-date': time,
      'x-amz-content-sha256': unsigned,
      authorization: `${algorithm} Credential=${this.#accessKey}/${this.#scope(time)}, SignedHeaders=${names}, Signature=${signature}`,
    };
  }

  /** A query that allows a PUT with one content type and length. `expiresIn` is in seconds. */
  presignPut(
    path: string,
    { type, length, expiresIn }: { readonly type: string; readonly length: number; readonly expiresIn: number },
  ): string {
    const time = now();
    const names = 'content-length;content-type;host';
    const credential = encodeURIComponent(`${this.#accessKey}/${this.#scope(time)}`);
    const query = `X-Amz-Algorithm=${algorithm}&X-Amz-Credential=${credential}&X-Amz-Date=${time}&X-Amz-Expires=${expiresIn}&X-Amz-SignedHeaders=${encodeURIComponent(names)}`;
    const fields = `content-length:${length}\ncontent-type:${type}\nhost:${this.#host}\n`;
    return `${query}&X-Amz-Signature=${this.#sign(time, `PUT\n${path}\n${query}\n${fields}\n${names}\n${unsigned}`)}`;
  }

  #scope(time: string): string {
    return `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  }

  #sign(time: string, canonical: string): string {
    const day = time.slice(0, 8);
    if (day !== this.#day) {
      this.#key = [region, 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${this.#secretKey}`, day));
      this.#day = day;
    }
    return hmac(this.#key, `${algorithm}\n${time}\n${this.#scope(time)}\n${sha256(canonical)}`).toString('hex');
  }
}

function now(): string {
  return new Date().toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
}
