import { Logger } from '@nestjs/common';
import { IllegalTransitionError, TaskConflictError } from '../../task/errors.js';
import { ACTIVE_STATUSES } from '../../task/task-lifecycle.js';
import type { TaskStorage } from '../../task/task-storage.js';
import type { TaskSummary } from '../../task/task.js';
import { interrupted } from './task-ending.js';
import { terminalEvent } from './task-record.js';
import type { TaskWakeUps } from './task-wake-ups.js';

const PAGE_SIZE = 1000;
const SEPARATOR = '#';

/**
 * Names a process: its instance, which stays the same when it is started again, and this start.
 *
 * @param bootId different at each start
 */
export function leaseOwnerOf(instanceId: string, bootId: string): string {
  return `${instanceId}${SEPARATOR}${bootId}`;
}

function instanceOf(leaseOwner: string): string {
  return leaseOwner.slice(0, Math.max(0, leaseOwner.lastIndexOf(SEPARATOR)));
}

/**
 * Ends the tasks that an earlier start of the same instance left behind when it was killed. Nothing
 * runs them any more, and they would count as active for ever.
 *
 * @returns how many there were
 */
export async function endInterruptedTasks(
  storage: TaskStorage,
  wakeUps: TaskWakeUps,
  leaseOwner: string,
): Promise<number> {
  let count = 0;
  for (const status of ACTIVE_STATUSES) {
    let pageToken: string | undefined;
    do {
      const page = await storage.listTasks({
        status,
        limit: PAGE_SIZE,
        pageToken,
        view: 'summary',
      });
      for (const task of page.tasks) {
        if (isLeftBehind(task, leaseOwner) && (await endTask(storage, task))) {
          wakeUps.notify(task.taskId);
          count += 1;
        }
      }
      pageToken = page.nextPageToken ?? undefined;
    } while (pageToken !== undefined);
  }
  if (count > 0) {
    new Logger(endInterruptedTasks.name).warn(
      `Ended ${count} tasks as interrupted: an earlier start of this instance left them behind`,
    );
  }
  return count;
}

function isLeftBehind(task: TaskSummary, leaseOwner: string): boolean {
  return (
    task.leaseOwner !== null &&
    task.leaseOwner !== leaseOwner &&
    instanceOf(task.leaseOwner) === instanceOf(leaseOwner)
  );
}

/** @returns `false` when somebody else was faster */
async function endTask(storage: TaskStorage, task: TaskSummary): Promise<boolean> {
  const ending = interrupted();
  const { status, finalState, error: reason } = ending;
  try {
    return await storage.updateTask(
      task.taskId,
      { status, finalState, error: reason },
      { expectedVersion: task.version, events: [terminalEvent(ending)] },
    );
  } catch (error) {
    if (error instanceof TaskConflictError || error instanceof IllegalTransitionError) {
      return false;
    }
    throw error;
  }
}
