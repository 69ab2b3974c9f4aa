import type { NativeRepoRemotes } from '../../types/remotes.js';
import { checkChecksum, checkString } from '../checks.js';
import { type JobOptions, runJob } from '../job.js';
import type { CollectionRef } from './pull.js';

/** A ref of a collection and its commit. */
export interface CollectionRefEntry extends CollectionRef {
  readonly checksum: string;
}

/**
 * Refs that belong to a collection: known worldwide by its id, so that they can come from any
 * repository that has them.
 */
export class Collections {
  readonly #native: NativeRepoRemotes;

  /** @internal */
  constructor(native: NativeRepoRemotes) {
    this.#native = native;
  }

  /** The collection of the repository's own refs. @see `ostree_repo_get_collection_id` */
  async getId(options?: JobOptions): Promise<string | undefined> {
    return (await runJob('ostree', () => this.#native.getCollectionId(), options)) ?? undefined;
  }

  /** Sets it for good; null removes it. @see `ostree_repo_set_collection_id` */
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
    const { collectionId, excludeRemotes = false } = options;
    if (collectionId !== undefined) checkString(collectionId, 'options.collectionId');
    return runJob(
      'ostree',
      () => this.#native.listCollectionRefs(collectionId, !excludeRemotes),
      options,
    );
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
}

/** @internal */
export function checkCollectionRef(ref: CollectionRef, name: string): CollectionRef {
  checkString(ref?.collectionId, `${name}.collectionId`);
  checkString(ref.ref, `${name}.ref`);
  return { collectionId: ref.collectionId, ref: ref.ref };
}
