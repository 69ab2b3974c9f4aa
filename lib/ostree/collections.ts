import type { NativeRepo } from '../../types/ostree.js';
import type { NativeFoundRemotes } from '../../types/remotes.js';
import {
  checkArray,
  checkBoolean,
  checkChecksum,
  checkMembers,
  checkString,
  checkStrings,
  type Members,
} from '../checks.js';
import { invalidArgType } from '../errors.js';
import { type JobOptions, kJobOptions, runJob } from '../job.js';
import type { Maintenance } from './maintenance.js';
import {
  type CollectionRef,
  type PullEvent,
  type PullOptions,
  type PullProgress,
  pullListener,
  pullOptions,
} from './pull.js';

/** A ref of a collection and its commit. */
export interface CollectionRefEntry extends CollectionRef {
  readonly checksum: string;
}

/** Where to look for refs of collections. */
export interface FindRemotesOptions extends JobOptions, Pick<PullOptions, 'networkRetries'> {
  /** In the remotes of the configuration that have a collection id. @default {@link RepoFacts.finders} */
  config?: boolean;
  /** On mounted removable drives. @default {@link RepoFacts.finders} */
  mount?: boolean;
  /** In repositories at these URLs, checked with the keys of the collection's remote. */
  uris?: readonly string[];
}

export interface PullFromRemotesOptions
  extends JobOptions,
    Pick<
      PullOptions,
      | 'depth'
      | 'disableStaticDeltas'
      | 'httpHeaders'
      | 'subdirs'
      | 'updateFrequency'
      | 'appendUserAgent'
      | 'networkRetries'
      | 'refKeyrings'
      | 'mirror'
      | 'commitOnly'
      | 'bareUserOnlyFiles'
      | 'onProgress'
    > {}

const kFindRemotesOptions: Members<FindRemotesOptions> = {
  ...kJobOptions,
  networkRetries: true,
  config: true,
  mount: true,
  uris: true,
};

const kPullFromRemotesOptions: Members<PullFromRemotesOptions> = {
  ...kJobOptions,
  depth: true,
  disableStaticDeltas: true,
  httpHeaders: true,
  subdirs: true,
  updateFrequency: true,
  appendUserAgent: true,
  networkRetries: true,
  refKeyrings: true,
  mirror: true,
  commitOnly: true,
  bareUserOnlyFiles: true,
  onProgress: true,
};

/** A remote that has some of the refs. */
export interface FoundRemote {
  /** Of a configured remote, or one made up for this find. */
  readonly name: string;
  readonly url?: string;
  /** Lower is better. */
  readonly priority: number;
  readonly lastModified?: Date;
  readonly refs: readonly (CollectionRefEntry & { timestamp?: Date })[];
}

const handles = new WeakMap<readonly FoundRemote[], NativeFoundRemotes>();

/**
 * Refs that belong to a collection: known worldwide by its id, so that they can come from any
 * repository that has them.
 *
 * @throws `ERR_CLOSED` by every method, once the repository is closed.
 */
export class Collections {
  readonly #native: NativeRepo;
  readonly #maintenance: Maintenance;

  /** @internal */
  constructor(native: NativeRepo, maintenance: Maintenance) {
    this.#native = native;
    this.#maintenance = maintenance;
  }

  /** The collection of the repository's own refs. @see `ostree_repo_get_collection_id` */
  async getId(options?: JobOptions): Promise<string | undefined> {
    return (await runJob('ostree', () => this.#native.getCollectionId(), options)) ?? undefined;
  }

  /**
   * Sets it for good; null removes it.
   *
   * @throws `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_write_config`
   */
  async setId(id: string | null, options?: JobOptions): Promise<void> {
    if (id !== null) checkString(id, 'id');
    await runJob('ostree', () => this.#native.setCollectionId(id), options);
  }

  /**
   * The refs of all collections or of one: the repository's own, mirrored ones, and those of
   * remotes that have a collection id.
   *
   * @see `ostree_repo_list_collection_refs`
   */
  async listRefs(
    options: JobOptions & {
      collectionId?: string;
      /** Leave out what was pulled from remotes. */
      excludeRemotes?: boolean;
    } = {},
  ): Promise<CollectionRefEntry[]> {
    checkMembers(options, {
      ...kJobOptions,
      collectionId: true,
      excludeRemotes: true,
    } satisfies Members<typeof options>);
    const { collectionId, excludeRemotes = false, signal } = options;
    checkBoolean(excludeRemotes, 'options.excludeRemotes');
    if (collectionId !== undefined) checkString(collectionId, 'options.collectionId');
    return runJob('ostree', () => this.#native.listCollectionRefs(collectionId, !excludeRemotes), {
      signal,
    });
  }

  /** The commit behind a ref, or undefined. @see `ostree_repo_resolve_collection_ref` */
  async resolve(ref: CollectionRef, options?: JobOptions): Promise<string | undefined> {
    const { collectionId, ref: name } = checkCollectionRef(ref, 'ref');
    const checksum = await runJob(
      'ostree',
      () => this.#native.resolveCollectionRef(collectionId, name),
      options,
    );
    return checksum ?? undefined;
  }

  /**
   * Sets a ref now, outside a transaction; `null` deletes it.
   *
   * @throws `ENOENT` where the commit is not in the repository.
   * @see `ostree_repo_set_collection_ref_immediate`
   */
  async setRef(ref: CollectionRef, checksum: string | null, options?: JobOptions): Promise<void> {
    const { collectionId, ref: name } = checkCollectionRef(ref, 'ref');
    if (checksum !== null) checkChecksum(checksum, 'checksum');
    await runJob(
      'ostree',
      () => this.#native.setCollectionRef(collectionId, name, checksum),
      options,
    );
  }

  /**
   * Looks for remotes that have refs of collections, best first. Only signed summaries and commits
   * count. No network but that of the remotes is searched: the finder `lan` of libostree asks Avahi, and
   * needs a main loop that runs as long as the program.
   *
   * @throws `ERR_INVALID_ARG_VALUE` without refs, or without a place to look.
   * @see `ostree_repo_find_remotes_async`
   */
  async findRemotes(
    refs: readonly CollectionRef[],
    options: FindRemotesOptions = {},
  ): Promise<readonly FoundRemote[]> {
    checkMembers(options, kFindRemotesOptions);
    checkArray(refs, 'refs');
    const wanted = refs.map((ref, index) => checkCollectionRef(ref, `refs[${index}]`));
    const { signal, config, mount, uris, ...native } = options;
    const { finders: usual } = await runJob('ostree', () => this.#native.facts(), { signal });
    const finders = {
      config: config ?? usual.includes('config'),
      mount: mount ?? usual.includes('mount'),
      ...(uris !== undefined && { uris: checkStrings(uris, 'options.uris') }),
    };
    const { remotes, handle } = await runJob(
      'ostree',
      () => this.#native.findRemotes(wanted, finders, native),
      { signal },
    );
    const found = remotes.map(({ lastModified, refs, ...rest }) => ({
      ...rest,
      ...(lastModified !== undefined && { lastModified: new Date(lastModified * 1000) }),
      refs: refs.map(({ timestamp, ...ref }) => ({
        ...ref,
        ...(timestamp !== undefined && { timestamp: new Date(timestamp * 1000) }),
      })),
    }));
    handles.set(found, handle);
    return found;
  }

  /**
   * Pulls refs from the best of the remotes that have them, and from the next where that fails.
   * Commits must be signed with GPG by the keys of their collection's remote.
   *
   * @param found what {@link findRemotes} gave.
   * @throws `ENOENT` where no remote was found; `ERR_OSTREE_FAILED` where some refs could not be
   * pulled from any; `ERR_BUSY` inside a transaction of this object.
   * @see `ostree_repo_pull_from_remotes_async`
   */
  async pullFromRemotes(
    found: readonly FoundRemote[],
    options: PullFromRemotesOptions = {},
  ): Promise<PullProgress> {
    checkMembers(options, kPullFromRemotesOptions);
    const handle = handles.get(found);
    if (!handle) throw invalidArgType('found', 'a result of findRemotes', found);
    const native = pullOptions(options);
    return this.#maintenance.locked('shared', { signal: options.signal }, () =>
      runJob<PullProgress, PullEvent>(
        'ostree',
        (progress) => this.#native.pullFromRemotes(handle, native, progress),
        { signal: options.signal },
        pullListener(options),
      ),
    );
  }

  /**
   * The remote whose keys a collection is checked with.
   *
   * @throws `ENOENT` where no remote has this collection id and keys.
   * @see `ostree_repo_resolve_keyring_for_collection`
   */
  async keyringRemote(collectionId: string, options?: JobOptions): Promise<string> {
    checkString(collectionId, 'collectionId');
    return runJob('ostree', () => this.#native.resolveKeyring(collectionId), options);
  }
}

/** @internal */
export function checkCollectionRef(ref: CollectionRef, name: string): CollectionRef {
  checkString(ref?.collectionId, `${name}.collectionId`);
  checkString(ref.ref, `${name}.ref`);
  return { collectionId: ref.collectionId, ref: ref.ref };
}
