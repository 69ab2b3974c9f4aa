/** What the addon has for sysroots besides the class Sysroot (native/ostree). */

import type { NativeJob } from './binding.js';

export interface NativeBootConfig {
  clone(): NativeBootConfig;
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  overlayInitrds(): string[];
  setOverlayInitrds(initrds: string[]): void;
  tries(): { left: number; done: number };
  write(path: string): NativeJob<void>;
}

/** Part of NativeOstree. */
export interface NativeSysrootFunctions {
  readonly BootConfig: {
    create(): NativeBootConfig;
    read(path: string): NativeJob<NativeBootConfig>;
  };
  kernelArgumentsParse(text: string): string[];
  kernelArgumentsEdit(list: readonly string[], edit: string, edits: readonly string[]): string[];
  kernelArgumentsContains(list: readonly string[], argument: string): boolean;
  kernelArgumentsLast(list: readonly string[], key: string): string | undefined;
  kernelArgumentsText(list: readonly string[]): string;
  kernelArgumentsAppendCommandLine(list: readonly string[], path: string): string[];
}
