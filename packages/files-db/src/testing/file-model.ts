import type { FileAccess, FileStatus } from '../index.ts';

export type TenantName = 'acme' | 'globex';

/** A file as anybody would imagine it. */
export interface ModelFile {
  readonly tenant: TenantName;
  readonly owner: string;
  readonly filename: string;
  readonly isPublic: boolean;
  readonly text: string;
  readonly status: FileStatus;
  /** What has been sent with the form, and still waits to be completed. */
  readonly sent?: string;
  readonly hasExpired?: boolean;
  /** A day after that, nobody expects anything to arrive any more. */
  readonly isSwept?: boolean;
}

/** Who asks. */
export interface Caller {
  readonly role: FileAccess['role'];
  readonly subject: string;
  readonly tenant: TenantName;
}

/** What the services promise, in little code: outcomes are codes of errors, or what is found. */
export class FileModel {
  readonly files: ModelFile[] = [];
  readonly quotas: Record<TenantName, number | null> = { acme: null, globex: null };

  usage(tenant: TenantName): { readonly bytes: number; readonly files: number; readonly reserved: number } {
    const own = this.files.filter((file) => file.tenant === tenant);
    const available = own.filter(({ status }) => status === 'available');
    const bytes = available.reduce((sum, { text }) => sum + text.length, 0);
    const reserved = own.filter(({ status }) => status === 'pending').reduce((sum, { text }) => sum + text.length, 0);
    return { bytes, files: available.length, reserved };
  }

  add(file: ModelFile): string | number {
    const { bytes, reserved } = this.usage(file.tenant);
    const quota = this.quotas[file.tenant];
    if (quota !== null && bytes + reserved + file.text.length > quota) return 'quota_exceeded';
    return this.files.push(file) - 1;
  }

  get(index: number, caller: Caller): ModelFile | 'file_not_found' {
    const file = this.files[index];
    if (file === undefined || file.status === 'deleted') return 'file_not_found';
    const isVisible = file.tenant === caller.tenant && (caller.role !== 'user' || file.owner === caller.subject || file.isPublic);
    return isVisible ? file : 'file_not_found';
  }

  /** What the caller may change; else why not. */
  own(index: number, caller: Caller): ModelFile | 'file_not_found' | 'forbidden' {
    const file = this.get(index, caller);
    return typeof file === 'string' || caller.role !== 'user' || file.owner === caller.subject ? file : 'forbidden';
  }

  open(index: number, caller: Caller): string {
    const file = this.get(index, caller);
    return typeof file === 'string' || file.status !== 'available' ? 'file_not_found' : `bytes: ${file.text}`;
  }

  openPublic(index: number): string {
    const file = this.files[index];
    return file?.status === 'available' && file.isPublic ? `bytes: ${file.text}` : 'file_not_found';
  }

  change(index: number, caller: Caller, changes: Partial<ModelFile>): ModelFile | string {
    const file = this.own(index, caller);
    return typeof file === 'string' ? file : (this.files[index] = { ...file, ...changes });
  }

  delete(index: number, caller: Caller): string {
    const file = this.change(index, caller, { status: 'deleted' });
    return typeof file === 'string' ? file : 'done';
  }

  complete(index: number, caller: Caller): ModelFile | string {
    const file = this.own(index, caller);
    if (typeof file === 'string' || file.status === 'available') return file;
    if (file.status === 'failed') return 'upload_mismatch';
    if (file.hasExpired === true) return 'upload_expired';
    if (file.sent === undefined) return 'upload_not_found';
    if (file.sent === file.text) return this.change(index, caller, { status: 'available' });
    this.change(index, caller, { status: 'failed' });
    return 'upload_mismatch';
  }

  list(caller: Caller, status: FileStatus, owner: string | undefined): readonly number[] {
    return [...this.files.keys()].filter((index) => {
      const file = this.get(index, caller);
      return typeof file !== 'string' && file.status === status && (owner === undefined || file.owner === owner);
    });
  }

  sweep(): void {
    for (const [index, file] of this.files.entries()) {
      if (file.hasExpired !== true) continue;
      this.files[index] = { ...file, isSwept: true, status: file.status === 'available' ? 'available' : 'deleted' };
    }
  }
}
