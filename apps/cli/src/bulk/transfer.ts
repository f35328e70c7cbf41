/** A file or object that has been transferred, as `uploaded`, `downloaded`, `copied` and `moved` list it. */
export interface Transfer {
  /** Where it is now; for a download, where it came from. */
  readonly key: string;
  readonly bucket: string;
  readonly sourceKey?: string;
  readonly path?: string;
  /** In bytes. Undefined before the transfer, where only the transfer can tell. */
  readonly size?: number;
  readonly etag?: string;
}
