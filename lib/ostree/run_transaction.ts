import type { NativeRepo } from '../../types/ostree.js';
import { AbortError } from '../errors.js';
import { type JobOptions, runJob } from '../job.js';
import type { Maintenance } from './maintenance.js';
import { Transaction, type TransactionStats } from './transaction.js';

/** @internal The work of `Repo.transaction`. */
export async function runTransaction<T>(
  native: NativeRepo,
  maintenance: Maintenance,
  write: (transaction: Transaction) => Promise<T> | T,
  options: JobOptions,
): Promise<{ result: T; stats: TransactionStats }> {
  return maintenance.locked('shared', options, async () => {
    await runJob('ostree', () => native.beginTransaction(), options);
    const transaction = new Transaction(native);
    let result: T;
    try {
      result = await maintenance.holding('shared', () => write(transaction));
      if (options.signal?.aborted) throw new AbortError(options.signal.reason);
    } catch (error) {
      Transaction.end(transaction);
      await runJob('ostree', () => native.abortTransaction());
      throw error;
    }
    Transaction.end(transaction);
    // Once under way it runs to its end: it takes little time, and refs must not move halfway.
    const stats = await runJob('ostree', () => native.commitTransaction());
    return { result, stats };
  });
}
