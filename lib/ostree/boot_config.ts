import type { NativeBootConfig } from '../../types/sysroot.js';
import { binding } from '../binding.js';
import { checkPath, checkString, checkStrings, type PathLike } from '../checks.js';
import { callNative, type JobOptions, runJob } from '../job.js';

/**
 * One boot loader entry, such as `boot/loader/entries/ostree-1-debian.conf`: lines of a key and a
 * value. Keys that libostree does not know stay, behind those that it does; comments and the second
 * line of a key, `initrd` excepted, do not.
 *
 * @see `OstreeBootconfigParser`
 * @example
 * const [name] = await readdir(`${sysroot.path}/boot/loader/entries`);
 * const file = `${sysroot.path}/boot/loader/entries/${name}`;
 * const entry = await BootConfig.read(file);
 * entry.set('options', `${entry.get('options')} quiet`);
 * await entry.write(file);
 */
export class BootConfig {
  readonly #native: NativeBootConfig;

  private constructor(native: NativeBootConfig) {
    this.#native = native;
  }

  /** @internal For an entry that other native code made. */
  static wrap(native: NativeBootConfig): BootConfig {
    return new BootConfig(native);
  }

  /**
   * An empty entry. Synchronous, as all but {@link read} and {@link write}: nothing is read or written.
   *
   * @throws nothing.
   * @see `ostree_bootconfig_parser_new`
   */
  static create(): BootConfig {
    return new BootConfig(binding().BootConfig.create());
  }

  /** Reads a file. @throws `ENOENT`. @see `ostree_bootconfig_parser_parse_at` */
  static async read(path: PathLike, options?: JobOptions): Promise<BootConfig> {
    const absolute = checkPath(path, 'path');
    return new BootConfig(
      await runJob('ostree', () => binding().BootConfig.read(absolute), options),
    );
  }

  /**
   * An independent copy. Synchronous.
   *
   * @throws nothing.
   * @see `ostree_bootconfig_parser_clone`
   */
  clone(): BootConfig {
    return new BootConfig(this.#native.clone());
  }

  /**
   * The value of `title`, `version`, `options`, `linux`, ...; undefined where there is none. Synchronous.
   *
   * @throws `ERR_INVALID_ARG_TYPE`
   * @see `ostree_bootconfig_parser_get`
   */
  get(key: string): string | undefined {
    checkString(key, 'key');
    return this.#native.get(key);
  }

  /**
   * Sets a value; there is no way to remove one. Synchronous.
   *
   * @throws `ERR_INVALID_ARG_VALUE` for what would not be read back: keys with white space, values
   * of several lines.
   * @see `ostree_bootconfig_parser_set`
   */
  set(key: string, value: string): void {
    checkString(key, 'key');
    checkString(value, 'value');
    this.#native.set(key, value);
  }

  /** Initrds beside the one of the key `initrd`. @see `ostree_bootconfig_parser_get_overlay_initrds` */
  get overlayInitrds(): string[] {
    return this.#native.overlayInitrds();
  }

  /**
   * Replaces the {@link overlayInitrds}. Synchronous.
   *
   * @throws `ERR_INVALID_STATE` for an entry without an `initrd`.
   * @see `ostree_bootconfig_parser_set_overlay_initrds`
   */
  setOverlayInitrds(initrds: readonly string[]): void {
    const list = checkStrings(initrds, 'initrds');
    callNative('ostree', () => this.#native.setOverlayInitrds(list));
  }

  /**
   * How often the boot loader has tried the entry and will try it, as its file name says.
   *
   * @throws `ERR_OSTREE_NOT_SUPPORTED` before libostree 2025.3.
   * @see `ostree_bootconfig_parser_get_tries_left`, `ostree_bootconfig_parser_get_tries_done`
   */
  get tries(): { left: number; done: number } {
    return callNative('ostree', () => this.#native.tries());
  }

  /**
   * Replaces a file at once.
   *
   * @throws `ENOENT`, `EACCES` and what else writing fails with.
   * @see `ostree_bootconfig_parser_write_at`
   */
  async write(path: PathLike, options?: JobOptions): Promise<void> {
    const absolute = checkPath(path, 'path');
    await runJob('ostree', () => this.#native.write(absolute), options);
  }
}
