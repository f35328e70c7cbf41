/** A file or object that has been transferred, as `uploaded`, `downloaded`, `copied` and `moved` list it. */
export interface Transfer {
  /** Where it now is; of a download, where it came from. */
  readonly key: string;
  readonly bucket: string;
  readonly sourceKey?: string;
  readonly path?: string;
  /** Undefined before it has been transferred, where only that tells. */
  readonly size?: number;
  readonly etag?: string;
}
