/** The addon's libostree classes (native/ostree). */

import type { NativeJob } from './binding.js';

export interface NativeRepo {
  close(): void;
  resolveRev(rev: string, allowMissing: boolean): NativeJob<string | null>;
}

export interface NativeOstree {
  readonly Repo: {
    open(path: string | Buffer): NativeJob<NativeRepo>;
    create(path: string | Buffer, mode: string): NativeJob<NativeRepo>;
  };
}
