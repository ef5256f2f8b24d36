import { TASK_STATUSES, type Task, type TaskStatus } from './task.js';

/** The statuses of a task that still has work to do; these count against a limit. */
export const ACTIVE_STATUSES = ['pending', 'running'] as const satisfies readonly TaskStatus[];

/** The statuses that never change again. */
export const TERMINAL_STATUSES = [
  'finished',
  'error',
  'cancelled',
] as const satisfies readonly TaskStatus[];

/** One of {@link TERMINAL_STATUSES}. */
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];

const FOLLOWERS: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  pending: ['running', 'error', 'cancelled'],
  running: ['finished', 'error', 'cancelled'],
  finished: [],
  error: [],
  cancelled: [],
};

/** Whether the status ends a task for good. */
export function isTerminal(status: TaskStatus): status is TerminalStatus {
  return FOLLOWERS[status].length === 0;
}

/**
 * The statuses from which a task may become `next`. A status never follows itself, so that of two
 * callers who start the same pending task only one succeeds.
 */
export function predecessorsOf(next: TaskStatus): readonly TaskStatus[] {
  return TASK_STATUSES.filter((status) => FOLLOWERS[status].includes(next));
}

/** Whether a task was queued and is still pending, which means that nobody has ever run it. */
export function waitsInQueue(task: Pick<Task, 'status' | 'queuedAt'>): boolean {
  return task.status === 'pending' && task.queuedAt !== null;
}

/** Whether a task whose lease has ended can still be run: it has attempts left, or was never run. */
export function canStillRun(
  task: Pick<Task, 'status' | 'queuedAt' | 'attempt' | 'maxAttempts'>,
): boolean {
  return task.attempt < task.maxAttempts || waitsInQueue(task);
}
