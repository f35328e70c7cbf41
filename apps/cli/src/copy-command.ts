import { BulkCommand, bulkFlags, filterFlags } from './bulk-command.ts';
import { copyNames } from './bulk/plan-copies.ts';
import { aclFlag, storageClassFlag } from './flags.ts';
import { Args, Flags } from './oclif.ts';
import { copyStyle, moveStyle } from './render/transfers.ts';
import { copyFiles } from './services/copy.ts';

/** `copy` and `move`, which take the same arguments and flags. */
export abstract class CopyCommand extends BulkCommand {
  static override readonly args = {
    src: Args.string({ ignoreStdin: true, description: 'Key of the object; with --recursive, a prefix.', required: true }),
    dst: Args.string({ ignoreStdin: true, description: 'New key; if DST ends in "/", the folder to put the object in.' }),
  };
  static override readonly usage = '<%= command.id %> SRC [DST] [--to-bucket BUCKET] [--to-key KEY] [--recursive]';
  static override readonly flags = {
    'to-bucket': Flags.string({ description: 'Bucket of the new object. Default: the bucket of SRC.', helpValue: 'BUCKET' }),
    'to-key': Flags.string({ description: 'New key; use it instead of DST.', helpValue: 'KEY' }),
    recursive: Flags.boolean({ char: 'r', description: 'Take everything below SRC, to the same names below DST.' }),
    acl: aclFlag({ description: "Canned ACL. Default: the source's." }),
    'storage-class': storageClassFlag({ description: "Storage class, by its S3 name. Default: the source's." }),
    update: Flags.boolean({ char: 'u', description: 'Skip objects that are already there with the same size and ETag.' }),
    ...bulkFlags,
    ...filterFlags,
  };

  protected async copyOrMove(move: boolean): Promise<void> {
    const { args, flags } = await this.parse(CopyCommand);
    const { recursive, acl, update, 'to-bucket': toBucket, 'to-key': toKey, 'storage-class': storageClass } = flags;
    const names = copyNames({ source: args.src, destination: args.dst, toKey, toBucket, recursive });
    const settings = { toBucket, recursive, acl, storageClass: storageClass || undefined, move, update };
    await this.bulk(flags, move ? moveStyle : copyStyle, (session, report, options) =>
      copyFiles(session, { ...names, ...settings, ...options }, report),
    );
  }
}
