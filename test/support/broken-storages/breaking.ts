import type {
  ListTasksOptions,
  TaskOperations,
  TaskPage,
  TaskStorage,
} from '../../../src/task/task-storage.js';
import type { TaskLeases } from '../../../src/task/task-lease.js';
import type { Task } from '../../../src/task/task.js';

/** A mistake that a backend's author could make, and the test of the kit that must notice it. */
export interface BrokenStorage {
  /** Ends the sentence "a storage that ...". */
  readonly mistake: string;
  /** A part of the name of the test. */
  readonly caughtBy: string;
  readonly breakStorage: (storage: TaskStorage) => TaskStorage;
}

/** Puts methods in the place of those that the target has. */
export function replace<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, key) => {
      const value: unknown = Reflect.get(Object.hasOwn(methods, key) ? methods : target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Breaks the operations of the storage and of its views by tenant alike. */
export function inTasks(
  breakTasks: (tasks: TaskOperations) => Partial<TaskOperations>,
): (storage: TaskStorage) => TaskStorage {
  return (storage) =>
    replace(storage, {
      ...breakTasks(storage),
      forTenant: (tenantId) => {
        const tasks = storage.forTenant(tenantId);
        return replace(tasks, breakTasks(tasks));
      },
    });
}

/** Breaks the leases of the storage. */
export function inLeases(
  breakLeases: (leases: TaskLeases, storage: TaskStorage) => Partial<TaskLeases>,
): (storage: TaskStorage) => TaskStorage {
  return (storage) => {
    const { leases } = storage;
    return replace(storage, { leases: replace(leases, breakLeases(leases, storage)) });
  };
}

/** Lists tasks with all their fields. */
export async function list(
  tasks: TaskOperations,
  options?: ListTasksOptions,
): Promise<TaskPage<Task>> {
  return tasks.listTasks({ ...options, view: 'full' });
}

/** @returns who holds any task */
export async function ownersOf(tasks: TaskOperations): Promise<string[]> {
  const { tasks: all } = await list(tasks);
  return [...new Set(all.flatMap(({ leaseOwner }) => leaseOwner ?? []))];
}

/** Answers `instead` where the error is one of the kind. */
export async function swallow<T>(
  work: Promise<T>,
  kind: new (...given: never[]) => Error,
  instead: T,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof kind) {
      return instead;
    }
    throw error;
  }
}
