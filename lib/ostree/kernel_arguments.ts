import { binding } from '../binding.js';
import { checkPath, checkString, checkStrings, type PathLike } from '../checks.js';
import { callNative } from '../job.js';
import { checkIterable } from '../shapes.js';

type Edit =
  | 'append'
  | 'appendIfMissing'
  | 'set'
  | 'replace'
  | 'delete'
  | 'deleteIfPresent'
  | 'deleteKey';

/**
 * Kernel arguments by libostree's own rules: an immutable list of `KEY` and `KEY=VALUE`, in which
 * a key may occur more than once. Edits give a new list. All calls are synchronous and touch no
 * disk, unless they say so. The argument of every edit must be one line and not empty, or
 * `ERR_INVALID_ARG_VALUE` is thrown.
 *
 * ```ts
 * KernelArguments.parse('root=LABEL=root quiet').append('console=ttyS0').toString();
 * // 'root=LABEL=root quiet console=ttyS0'
 * ```
 *
 * @throws `ERR_INVALID_ARG_VALUE` for what is no single line.
 * @see `OstreeKernelArgs`
 */
export class KernelArguments implements Iterable<string> {
  readonly #list: readonly string[];

  private constructor(list: readonly string[]) {
    this.#list = Object.freeze(list);
  }

  /**
   * Of a command line, as a boot loader entry has it under `options`. How quotes are read differs
   * between versions of libostree: before 2026.2, arguments end at every space.
   *
   * @see `ostree_kernel_args_from_string`
   */
  static parse(text: string): KernelArguments {
    checkString(text, 'text');
    return new KernelArguments(callNative('ostree', () => binding().kernelArgumentsParse(text)));
  }

  /** Of single arguments, none by default. @see `ostree_kernel_args_append` */
  static from(list: Iterable<string> = []): KernelArguments {
    checkIterable(list, 'list');
    return new KernelArguments([]).#edit('append', [...list]);
  }

  /**
   * Of the running kernel, without `BOOT_IMAGE=` and `initrd=`, which boot loaders add. Quoted
   * values stay whole. Reads `/proc/cmdline`.
   *
   * @throws as {@link appendProcCmdline}.
   * @see `ostree_kernel_args_append_proc_cmdline`
   */
  static fromProcCmdline(): KernelArguments {
    return new KernelArguments([]).appendProcCmdline();
  }

  /** How many there are. */
  get length(): number {
    return this.#list.length;
  }

  #edit(edit: Edit, args: readonly string[]): KernelArguments {
    const texts = checkStrings(args, 'arguments');
    return new KernelArguments(
      callNative('ostree', () => binding().kernelArgumentsEdit(this.#list, edit, texts)),
    );
  }

  /** With these at the end. @see `ostree_kernel_args_append` */
  append(...args: string[]): KernelArguments {
    return this.#edit('append', args);
  }

  /**
   * With those of these that are missing, as {@link contains} says, at the end.
   *
   * @see `ostree_kernel_args_append_if_missing`
   */
  appendIfMissing(...args: string[]): KernelArguments {
    return this.#edit('appendIfMissing', args);
  }

  /**
   * With the arguments of the running kernel at the end; see {@link fromProcCmdline}.
   *
   * @param path Another file to read. @default '/proc/cmdline'
   * @throws `ENOENT`, `EACCES` and what else a read fails with.
   * @see `ostree_kernel_args_append_proc_cmdline`
   */
  appendProcCmdline(path: PathLike = '/proc/cmdline'): KernelArguments {
    const file = checkPath(path, 'path');
    return new KernelArguments(
      callNative('ostree', () => binding().kernelArgumentsAppendCommandLine(this.#list, file)),
    );
  }

  /**
   * Gives a key one value, whatever values it had, as `ostree admin deploy --karg` does; a missing
   * key is added.
   *
   * @see `ostree_kernel_args_replace`
   */
  set(...args: string[]): KernelArguments {
    return this.#edit('set', args);
  }

  /**
   * Replaces one value: `KEY=VALUE=NEW` the named one, `KEY=NEW` the only one of the key.
   *
   * @throws `ERR_OSTREE_FAILED` where the key or the value is missing, or the key has several values
   * and none is named.
   * @see `ostree_kernel_args_new_replace`
   */
  replace(...args: string[]): KernelArguments {
    return this.#edit('replace', args);
  }

  /**
   * Removes `KEY=VALUE`, or `KEY` if it has no more than one value.
   *
   * @throws `ERR_OSTREE_FAILED` where it is missing, or the key has several values and none is named.
   * @see `ostree_kernel_args_delete`
   */
  delete(...args: string[]): KernelArguments {
    return this.#edit('delete', args);
  }

  /**
   * Removes those that are there, as {@link contains} says.
   *
   * @throws As {@link delete}, so with libostree 2022.7 for a key that has another value.
   * @see `ostree_kernel_args_delete_if_present`
   */
  deleteIfPresent(...args: string[]): KernelArguments {
    return this.#edit('deleteIfPresent', args);
  }

  /**
   * Removes keys with all their values.
   *
   * @throws `ERR_OSTREE_FAILED` for a missing key.
   * @see `ostree_kernel_args_delete_key_entry`
   */
  deleteKey(...keys: string[]): KernelArguments {
    return this.#edit('deleteKey', keys);
  }

  /**
   * Whether an argument is there. libostree 2022.7 compares keys only: `console=tty1` is there
   * when `console=tty0` is.
   *
   * @see `ostree_kernel_args_contains`
   */
  contains(argument: string): boolean {
    checkString(argument, 'argument');
    return callNative('ostree', () => binding().kernelArgumentsContains(this.#list, argument));
  }

  /**
   * The value that the kernel takes: the last one of the key. Empty for a key without a value,
   * undefined for a missing one.
   *
   * @see `ostree_kernel_args_get_last_value`
   */
  getLast(key: string): string | undefined {
    checkString(key, 'key');
    return callNative('ostree', () => binding().kernelArgumentsLast(this.#list, key));
  }

  /** As one line. @see `ostree_kernel_args_to_string` */
  toString(): string {
    return callNative('ostree', () => binding().kernelArgumentsText(this.#list));
  }

  /** A new array. @see `ostree_kernel_args_to_strv` */
  toArray(): string[] {
    return [...this.#list];
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#list[Symbol.iterator]();
  }
}
