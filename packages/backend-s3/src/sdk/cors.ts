import { GetBucketCorsCommand, PutBucketCorsCommand } from '@aws-sdk/client-s3';
import type { CORSRule as S3Rule, S3Client } from '@aws-sdk/client-s3';

import type { Administration, CorsRule, ExistingCorsRule } from '../administration.ts';
import { call } from '../call.ts';

export function sdkCors(client: S3Client): Pick<Administration, 'getCors' | 'putCors'> {
  return {
    async getCors(bucket, ctx) {
      const command = new GetBucketCorsCommand({ Bucket: bucket });
      const about = { bucket, permission: 's3:GetBucketCORS' };
      const { CORSRules = [] } = await call(about, ctx, (options) => client.send(command, options));
      return CORSRules.map(ruleFrom);
    },
    async putCors(bucket, rules, ctx) {
      const configuration = { CORSRules: rules.map((rule) => ('raw' in rule ? (rule.raw as S3Rule) : ruleTo(rule))) };
      const command = new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: configuration });
      await call({ bucket, permission: 's3:PutBucketCORS' }, ctx, (options) => client.send(command, options));
    },
  };
}

function ruleTo({ id, origins, methods, headers, exposed, maxAge }: CorsRule): S3Rule {
  return {
    ...(id !== undefined && { ID: id }),
    AllowedOrigins: [...origins],
    AllowedMethods: [...methods],
    AllowedHeaders: [...headers],
    ExposeHeaders: [...exposed],
    MaxAgeSeconds: maxAge,
  };
}

function ruleFrom(rule: S3Rule): ExistingCorsRule {
  const {
    ID: id,
    AllowedOrigins: origins = [],
    AllowedMethods: methods = [],
    AllowedHeaders: headers = [],
    ExposeHeaders: exposed = [],
  } = rule;
  return { id, origins, methods, headers, exposed, raw: rule };
}
