/** Whether an S3 endpoint with this host name is one of AWS, public or in a private network: only there, buckets have host names by default. */
export function isAwsHost(host: string): boolean {
  return /(?:^|\.)(?:amazonaws\.(?:com(?:\.cn)?|eu)|api\.aws)$/.test(host);
}
