/** What the addon has for sysroots besides the class Sysroot (native/ostree). */

/** Part of NativeOstree. */
export interface NativeSysrootFunctions {
  sysrootFeatures(): {
    changeFinalization: boolean;
    updatePostCopy: boolean;
    kexecLoad: boolean;
    softReboot: boolean;
  };
  kernelArgumentsParse(text: string): string[];
  kernelArgumentsEdit(list: readonly string[], edit: string, argument: string): string[];
  kernelArgumentsContains(list: readonly string[], argument: string): boolean;
  kernelArgumentsLast(list: readonly string[], key: string): string | undefined;
  kernelArgumentsText(list: readonly string[]): string;
  kernelArgumentsAppendCommandLine(list: readonly string[], path: string): string[];
}
