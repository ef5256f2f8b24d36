import { randomBytes } from 'node:crypto';
import type { Clock } from '../../task/clock.js';
import { TaskStorageError } from '../../task/errors.js';
import { PageTokenCodec } from '../../task/page-token.js';
import type { Setting } from '../../task/task-storage.js';
import { MemoryChanges } from './memory-changes.js';
import { TaskTable } from './task-table.js';

interface MemoryContent {
  readonly tasks: TaskTable;
  readonly settings: Map<string, Setting>;
  /** The names of the work that runs exclusively now. */
  readonly exclusiveWork: Set<string>;
}

/** What one memory storage and its views by tenant share, until it is closed. */
export class Memory {
  /** The key is this memory's own, because no other process can read its tasks. */
  readonly pageTokens = new PageTokenCodec(randomBytes(32));
  readonly changes = new MemoryChanges();
  #content: MemoryContent | null;

  constructor(clock: Clock, maxTasks: number) {
    this.#content = {
      tasks: new TaskTable(clock, maxTasks, this.changes),
      settings: new Map(),
      exclusiveWork: new Set(),
    };
  }

  /** @throws {TaskStorageError} `UNAVAILABLE` after {@link close} */
  open(): MemoryContent {
    if (this.#content === null) {
      throw new TaskStorageError('UNAVAILABLE', 'The storage is closed');
    }
    return this.#content;
  }

  close(): void {
    this.#content = null;
    this.changes.close();
  }
}
