import { MISSED } from './change-payload.js';
import { onlyRow } from './postgres-connection.js';
import type { PostgresContext } from './postgres-context.js';
import { deleteOldTasks, type CleanupQuery } from './read-statements.js';
import { readNumber } from './task-rows.js';

/** One unbatched DELETE of a large table blocks, bloats and times out. */
const CLEANUP_BATCH_SIZE = 1000;
const LARGEST_CLEANUP_BATCH = 10_000;

/**
 * Deletes old tasks, each batch in a transaction of its own.
 *
 * @param limit how many at the most; `null` for all
 * @returns how many were deleted
 */
export async function deleteInBatches(
  { connection, names, changes }: PostgresContext,
  query: CleanupQuery,
  limit: number | null,
): Promise<number> {
  const largestBatch = limit === null ? CLEANUP_BATCH_SIZE : LARGEST_CLEANUP_BATCH;
  let deleted = 0;
  try {
    for (;;) {
      const batchSize = Math.min(largestBatch, (limit ?? Infinity) - deleted);
      if (batchSize === 0) {
        return deleted;
      }
      const rows = await connection.send(deleteOldTasks(names, query, batchSize));
      const total = readNumber(onlyRow(rows), 'total');
      deleted += total;
      if (total < batchSize) {
        return deleted;
      }
    }
  } finally {
    // One hint for what may be many thousands of tasks, also when a later batch failed.
    if (deleted > 0) {
      changes.announce(MISSED);
    }
  }
}
