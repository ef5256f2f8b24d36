import { systemClock, type Clock } from '../../task/clock.js';
import { TaskStorageError } from '../../task/errors.js';
import { parseName, parseTenantId } from '../../task/task-input.js';
import type { TaskChanges } from '../../task/task-change.js';
import type { TaskLeases } from '../../task/task-lease.js';
import type {
  ExclusiveResult,
  SettingsStorage,
  TaskOperations,
  TaskStorage,
} from '../../task/task-storage.js';
import { MemoryLeases } from './memory-leases.js';
import { MemorySettings } from './memory-settings.js';
import { MemoryTaskOperations } from './memory-task-operations.js';
import { Memory } from './memory.js';

/** What a memory storage can be told. */
export interface MemoryTaskStorageOptions {
  /**
   * How many tasks it holds at the most, at least 1. Default: as many as the process has room for.
   * When it is full, a new task takes the place of the task that ended first, and is refused with
   * `LIMIT_REACHED` when all are active.
   */
  maxTasks?: number | undefined;
  /** Where the times of tasks come from. Default: the machine's clock. */
  clock?: Clock | undefined;
}

/** Keeps everything in this process: for development, tests, and services that may forget. */
class MemoryTaskStorage extends MemoryTaskOperations implements TaskStorage {
  readonly description = 'memory';
  readonly settings: SettingsStorage;
  readonly leases: TaskLeases;
  readonly changes: TaskChanges;

  constructor(memory: Memory) {
    super(memory, null);
    this.settings = new MemorySettings(memory);
    this.leases = new MemoryLeases(memory);
    this.changes = memory.changes;
  }

  forTenant(tenantId: string): TaskOperations {
    return new MemoryTaskOperations(this.memory, parseTenantId(tenantId));
  }

  async ping(): Promise<void> {
    this.memory.open();
  }

  async runExclusively<T>(
    name: string,
    work: (lost: AbortSignal) => Promise<T>,
  ): Promise<ExclusiveResult<T>> {
    const { exclusiveWork } = this.memory.open();
    const parsedName = parseName(name);
    if (exclusiveWork.has(parsedName)) {
      return { ran: false };
    }
    exclusiveWork.add(parsedName);
    try {
      return { ran: true, value: await work(new AbortController().signal) };
    } finally {
      exclusiveWork.delete(parsedName);
    }
  }

  async close(): Promise<void> {
    this.memory.close();
  }
}

/**
 * Creates an empty storage that lives as long as the process.
 *
 * Creating, reading, changing and deleting a task, counting the active ones, and finding where a
 * page starts cost about the same with 100,000 tasks as with 1,000; a page, a cleanup and a claim
 * cost what they answer. Only `offset` walks over what it skips, some hundred tasks at once, a claim
 * over the queued tasks of tenants at their limit, and a renewal over the tasks that are held.
 *
 * @throws {TaskStorageError} `MISCONFIGURED` when `maxTasks` is not a whole number from 1 on
 */
export function createMemoryTaskStorage(options: MemoryTaskStorageOptions = {}): TaskStorage {
  const { maxTasks = Infinity, clock = systemClock } = options;
  if (maxTasks !== Infinity && (!Number.isSafeInteger(maxTasks) || maxTasks < 1)) {
    throw new TaskStorageError(
      'MISCONFIGURED',
      `maxTasks is ${maxTasks}; write a whole number from 1 on, or leave it out`,
    );
  }
  return new MemoryTaskStorage(new Memory(clock, maxTasks));
}
