import { Logger } from '@nestjs/common';
import type { UnreadableTask } from '../../task/task-storage.js';

/** So many ids are remembered; a log line too many does less harm than memory that grows. */
const MAX_REMEMBERED = 10_000;

/** Tells the operator of tasks that cannot be read, of each once, however often it is listed. */
export class UnreadableTaskLog {
  readonly #logger = new Logger(UnreadableTaskLog.name);
  readonly #told = new Set<string>();

  report(tasks: readonly UnreadableTask[]): void {
    for (const { taskId, reason } of tasks) {
      if (this.#told.has(taskId)) {
        continue;
      }
      if (this.#told.size >= MAX_REMEMBERED) {
        this.#told.clear();
      }
      this.#told.add(taskId);
      this.#logger.error(`Task ${taskId} cannot be read: ${reason}; mend or delete it`);
    }
  }
}
