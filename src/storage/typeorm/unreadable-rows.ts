import { TaskStorageError, UnreadableTaskError } from '../../task/errors.js';
import type { TaskPage } from '../../task/task-storage.js';
import type { TaskUpdates } from '../../task/task.js';
import type { SqlRow } from './postgres-connection.js';
import type { PostgresContext } from './postgres-context.js';
import { fieldValues } from './task-fields.js';
import { readNumber } from './task-rows.js';

/** How a task ends that nobody can run, because it cannot be read. */
const UNREADABLE_STATE = 'unreadable';

/** A row that cannot be read, and why. */
export interface UnreadableRow {
  readonly row: SqlRow;
  readonly error: UnreadableTaskError;
}

/** Rows that were read one by one. */
export interface ReadRows<T> {
  readonly read: readonly T[];
  readonly unreadable: readonly UnreadableRow[];
}

/** Reads rows so that one that cannot be read does not hide the others. */
export function readEach<T>(rows: readonly SqlRow[], read: (row: SqlRow) => T): ReadRows<T> {
  const found: T[] = [];
  const unreadable: UnreadableRow[] = [];
  for (const row of rows) {
    try {
      found.push(read(row));
    } catch (error) {
      if (!(error instanceof UnreadableTaskError)) {
        throw error;
      }
      unreadable.push({ row, error });
    }
  }
  return { read: found, unreadable };
}

/** What a page holds of the rows; it speaks of unreadable ones only when there are some. */
export function pageOf<T>({ read, unreadable }: ReadRows<T>): Omit<TaskPage<T>, 'nextPageToken'> {
  return {
    tasks: read,
    ...(unreadable.length > 0 && {
      unreadable: unreadable.map(({ error: { taskId, reason } }) => ({ taskId, reason })),
    }),
  };
}

/**
 * Ends a task that was claimed and cannot be read: nobody can run it, and as it is it would be claimed
 * again and again. When it cannot even be ended it stays claimed until its lease has ended, and keeps
 * nobody from claiming others. The operator is told of it once.
 *
 * @param row as the claim answered it, with its `attempt`
 */
export async function endUnreadable(
  context: PostgresContext,
  owner: string,
  unreadable: UnreadableRow,
): Promise<void> {
  const { taskId, reason } = unreadable.error;
  const warn = (outcome: string) =>
    context.onWarning(`Task ${taskId} was claimed and cannot be read: ${reason}; ${outcome}`);
  try {
    if (await end(context, owner, unreadable)) {
      context.changes.announce({ kind: 'ended', taskId });
      warn('it has ended with an error');
    } else {
      warn('it was deleted meanwhile');
    }
  } catch (error) {
    warn(`it could not be ended: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** @returns `false` when there is no such task any more */
async function end(
  { calls }: PostgresContext,
  owner: string,
  { row, error: { taskId, reason } }: UnreadableRow,
): Promise<boolean> {
  const message = `The task cannot be run, because what is stored of it cannot be read: ${reason}`;
  const updates: TaskUpdates = { status: 'error', finalState: UNREADABLE_STATE, error: message };
  const change = {
    taskId,
    tenantId: null,
    updates,
    values: fieldValues(updates),
    expectedVersion: null,
    expectedSequence: null,
    lease: { owner, attempt: readNumber(row, 'attempt') },
  };
  try {
    return (await calls.change({ ...change, events: [{ stage: 'error', message }] })) !== null;
  } catch (error) {
    if (error instanceof TaskStorageError && error.code === 'UNAVAILABLE') {
      throw error;
    }
    // When the number of its last event is what is wrong, its log takes no other.
    return (await calls.change({ ...change, events: [] })) !== null;
  }
}
