import { Logger } from '@nestjs/common';
import type { Clock } from '../../task/clock.js';
import { describeError } from '../describe-error.js';
import { pause } from './alarm.js';
import type { TaskRecord } from './task-record.js';

/** How often to look at a task whose runner says nothing. */
const CHECK_MS = 5_000;

/**
 * Looks whether a task is still there to be run. Another process, or the application, may have
 * cancelled or deleted it, which the next write would tell, but a runner may be silent for hours.
 *
 * @param signal ends the watch
 * @param onGone called once, when the task has ended or is deleted
 */
export async function watchTask(
  record: Pick<TaskRecord, 'isActive' | 'lastWrittenMs'>,
  clock: Clock,
  signal: AbortSignal,
  onGone: () => void,
): Promise<void> {
  for (;;) {
    await pause(clock, CHECK_MS, signal);
    if (signal.aborted) {
      return;
    }
    const isQuiet = clock.now().getTime() - record.lastWrittenMs >= CHECK_MS;
    if (isQuiet && !(await isActive(record))) {
      onGone();
      return;
    }
  }
}

async function isActive(record: Pick<TaskRecord, 'isActive'>): Promise<boolean> {
  try {
    return await record.isActive();
  } catch (error) {
    new Logger(watchTask.name).debug(`A running task was not looked at: ${describeError(error)}`);
    return true;
  }
}
