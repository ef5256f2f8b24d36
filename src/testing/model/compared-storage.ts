import assert from 'node:assert/strict';
import { TaskStorageError } from '../../task/errors.js';
import type {
  CleanupOptions,
  ListTasksOptions,
  TaskOperations,
  TaskView,
} from '../../task/task-storage.js';
import { TASK_STATUSES, type Task, type TaskSummary } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ConformanceTest } from '../conformance-group.js';
import { listByPages, summaryOf } from '../samples.js';
import { ComparedLeases } from './compared-leases.js';
import { Observation, type TimeEffect } from './observation.js';
import { CALLERS, TASK_IDS, type Caller, type Operation } from './operation.js';
import { Refusal, TaskModel } from './task-model.js';

const NO_EFFECT: TimeEffect = { updated: [], leased: [], allMoved: false };

/** A storage and its model, taken through the same operations. */
export class ComparedStorage {
  readonly #model = new TaskModel();
  readonly #seen = new Observation();

  readonly #leases: ComparedLeases;

  constructor(private readonly test: Pick<ConformanceTest, 'storage' | 'passDays'>) {
    this.#leases = new ComparedLeases(test.storage, this.#model, this.#seen);
  }

  async apply(operation: Operation): Promise<void> {
    const effect = await this.#compare(operation, this.#operationsOf(operation.caller));
    const { tasks } = await this.test.storage.listTasks({ limit: 1000 });
    this.#seen.advance(tasks, this.#model, effect);
  }

  /** Asks every question that {@link apply} did not ask after each operation. */
  async audit(): Promise<void> {
    for (const caller of CALLERS) {
      const questions: Operation[] = [
        { caller, kind: 'count' },
        { caller, kind: 'pages', options: {}, pageSize: 2 },
        ...TASK_STATUSES.map((status) => ({
          caller,
          kind: 'pages' as const,
          options: { status },
          pageSize: 2,
        })),
        ...TASK_IDS.flatMap((taskId) => [
          { caller, kind: 'get' as const, taskId, view: 'full' as const },
          { caller, kind: 'get' as const, taskId, view: 'summary' as const },
          { caller, kind: 'listEvents' as const, taskId, afterSequence: 0, limit: 1000 },
        ]),
      ];
      const storage = this.#operationsOf(caller);
      await Promise.all(questions.map((question) => this.#compare(question, storage)));
    }
  }

  #operationsOf(caller: Caller): TaskOperations {
    return caller === null ? this.test.storage : this.test.storage.forTenant(caller);
  }

  /** Fails unless the storage answers what the model says. */
  async #compare(operation: Operation, storage: TaskOperations): Promise<TimeEffect> {
    const { caller } = operation;
    let effect = NO_EFFECT;
    switch (operation.kind) {
      case 'create': {
        const { task, options } = operation;
        const expected = this.#model.create(caller, task, options);
        await assertAnswer(() => storage.createTask(task, options), expected);
        break;
      }
      case 'update': {
        const { taskId, updates, events, versionOffset } = operation;
        const lease = this.#leases.model.guardOf(taskId, operation.guard);
        const version = this.#model.tasks.get(taskId)?.fields.version ?? 1;
        const expectedVersion = versionOffset === undefined ? undefined : version + versionOffset;
        const guards = { expectedVersion, lease };
        const expected = this.#model.update(caller, taskId, updates, events, guards);
        await assertAnswer(
          () => storage.updateTask(taskId, updates, { events, ...guards }),
          expected,
        );
        effect = { ...NO_EFFECT, updated: expected === true ? [taskId] : [] };
        break;
      }
      case 'append': {
        const { taskId, events } = operation;
        const lease = this.#leases.model.guardOf(taskId, operation.guard);
        const expected = this.#model.append(caller, taskId, events, lease);
        await assertAnswer(() => storage.appendEvents(taskId, events, { lease }), expected);
        break;
      }
      case 'claimQueued': {
        effect = await this.#leases.claimQueued(operation.options);
        break;
      }
      case 'claimExpired': {
        effect = await this.#leases.claimExpired(operation.options);
        break;
      }
      case 'renew': {
        effect = await this.#leases.renew(operation.options);
        break;
      }
      case 'delete': {
        const expected = this.#model.delete(caller, operation.taskId);
        await assertAnswer(() => storage.deleteTask(operation.taskId), expected);
        if (expected) {
          this.#seen.forget(operation.taskId);
        }
        break;
      }
      case 'get': {
        const exists = this.#model.find(caller, operation.taskId) !== undefined;
        const expected = exists ? this.#seen.find(operation.taskId) : null;
        const { taskId, view } = operation;
        assertSame(
          await storage.getTask(taskId, { view }),
          expected ? viewOf(expected, view) : null,
        );
        break;
      }
      case 'list': {
        const { offset = 0, limit = 0 } = operation.options;
        const expected = this.#expectedList(caller, operation.options);
        const { tasks, nextPageToken } = await storage.listTasks(operation.options);
        assertSame(tasks, expected.slice(offset, offset + limit));
        assert.equal(nextPageToken === null, offset + limit >= expected.length, 'nextPageToken');
        break;
      }
      case 'pages': {
        const { options, pageSize } = operation;
        const expected = this.#expectedList(caller, options);
        assertSame(await listByPages(storage, options, pageSize), expected);
        break;
      }
      case 'listEvents': {
        const { taskId, afterSequence, limit } = operation;
        const found = await storage.listEvents(taskId, { afterSequence, limit });
        const expected = this.#model.listEvents(caller, taskId, afterSequence, limit);
        assertSame(
          found.map(({ createdAt: _createdAt, ...event }) => event),
          expected.map((event) => ({ taskId, ...event })),
        );
        break;
      }
      case 'count': {
        assert.equal(await storage.countActiveTasks(), this.#model.countActive(caller));
        break;
      }
      case 'cleanup': {
        await this.#compareCleanup(caller, operation.days, operation.options, storage);
        break;
      }
      case 'passDays': {
        await this.test.passDays(operation.days);
        this.#model.passDays(operation.days);
        effect = { ...NO_EFFECT, allMoved: true };
        break;
      }
    }
    return effect;
  }

  #expectedList(caller: Caller, { status, view }: ListTasksOptions): TaskSummary[] {
    return this.#seen.tasks
      .filter((task) => this.#model.find(caller, task.taskId) !== undefined)
      .filter((task) => status === undefined || task.status === status)
      .map((task) => viewOf(task, view));
  }

  /** Among tasks that ended at the same time the storage may choose; the model follows. */
  async #compareCleanup(
    caller: Caller,
    days: number,
    options: CleanupOptions,
    storage: TaskOperations,
  ): Promise<void> {
    const candidates = this.#model.cleanupCandidates(caller, days, options);
    const expected = Math.min(candidates.length, options.limit ?? Infinity);
    assert.equal(await storage.cleanupOldTasks(days, options), expected);
    const { tasks } = await this.test.storage.listTasks({ limit: 1000 });
    const kept = new Set(tasks.map(({ taskId }) => taskId));
    const deleted = candidates.filter((taskId) => !kept.has(taskId));
    assert.equal(deleted.length, options.dryRun === true ? 0 : expected, 'Tasks deleted');
    const endOf = (taskId: string): number => this.#seen.find(taskId)?.finishedAt?.getTime() ?? 0;
    const lastDeleted = Math.max(...deleted.map(endOf));
    const firstKept = Math.min(...candidates.filter((taskId) => kept.has(taskId)).map(endOf));
    assert.ok(lastDeleted <= firstKept, 'The tasks that ended first must be deleted first');
    for (const taskId of deleted) {
      this.#model.delete(null, taskId);
      this.#seen.forget(taskId);
    }
  }
}

function viewOf(task: Task, view: TaskView | undefined): TaskSummary {
  return view === 'summary' ? summaryOf(task) : task;
}

async function assertAnswer(
  operation: () => Promise<unknown>,
  expected: boolean | number | null | Refusal,
): Promise<void> {
  const answer = await operation().catch((error: unknown) => {
    if (error instanceof TaskStorageError) {
      return `rejected: ${error.code}`;
    }
    throw error;
  });
  assertSame(answer, expected instanceof Refusal ? `rejected: ${expected.code}` : expected);
}
