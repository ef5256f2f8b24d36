import assert from 'node:assert/strict';
import type { Task } from '../../task/task.js';
import { assertSame } from '../assertions.js';
import type { ModelFields, TaskModel } from './task-model.js';

/** What an operation may have changed about the times of the tasks. */
export interface TimeEffect {
  /** The tasks that the operation updated or claimed. */
  readonly updated: readonly string[];
  /** The tasks whose lease it began or prolonged. */
  readonly leased: readonly string[];
  /** Whether every time may have moved. */
  readonly allMoved: boolean;
}

function withoutTimes(task: Task): ModelFields {
  const { createdAt: _1, updatedAt: _2, startedAt: _3, finishedAt: _4, ...others } = task;
  const { queuedAt, leaseExpiresAt, ...fields } = others;
  return { ...fields, isQueued: queuedAt !== null, hasLease: leaseExpiresAt !== null };
}

/**
 * Everything that is stored, newest first, as it was last seen. The storage chooses times, and with
 * them the order: this checks that it chooses once and keeps to it, so that every later answer can
 * be compared exactly.
 */
export class Observation {
  #tasks: readonly Task[] = [];

  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  find(taskId: string): Task | undefined {
    return this.#tasks.find((task) => task.taskId === taskId);
  }

  /** Takes what is stored now, and fails when it is not what the model says. */
  advance(tasks: readonly Task[], model: TaskModel, effect: TimeEffect): void {
    assertSame(
      tasks.map((task) => withoutTimes(task)),
      tasks.map(({ taskId }) => model.tasks.get(taskId)?.fields),
    );
    assert.equal(tasks.length, model.tasks.size, 'The wrong number of tasks is stored');
    for (const [index, task] of tasks.entries()) {
      const next = tasks[index + 1];
      assert.ok(next === undefined || task.createdAt >= next.createdAt, 'Not newest first');
      this.#checkTimes(task, model, effect);
    }
    const known = this.#tasks.map(({ taskId }) => taskId);
    const kept = tasks.map(({ taskId }) => taskId).filter((taskId) => known.includes(taskId));
    const expected = known.filter((taskId) => kept.includes(taskId));
    assertSame(kept, expected, 'The order of the tasks has changed');
    this.#tasks = tasks;
  }

  /** A task is new to the next {@link advance}, its id being given anew. */
  forget(taskId: string): void {
    this.#tasks = this.#tasks.filter((task) => task.taskId !== taskId);
  }

  #checkTimes(task: Task, model: TaskModel, effect: TimeEffect): void {
    const modelled = model.tasks.get(task.taskId);
    assert.equal(task.startedAt !== null, modelled?.hasStarted, `startedAt of ${task.taskId}`);
    assert.equal(
      task.finishedAt !== null,
      modelled?.daysSinceEnd !== null,
      `finishedAt of ${task.taskId}`,
    );
    const before = this.find(task.taskId);
    if (before === undefined) {
      assertSame(task.updatedAt, task.createdAt, 'A new task was updated when it was created');
      return;
    }
    if (effect.allMoved) {
      return;
    }
    const { createdAt, updatedAt, startedAt, finishedAt, queuedAt, leaseExpiresAt } = task;
    const keepsLease = leaseExpiresAt !== null && !effect.leased.includes(task.taskId);
    assertSame(
      { createdAt, startedAt, finishedAt, updatedAt, queuedAt, leaseExpiresAt },
      {
        createdAt: before.createdAt,
        queuedAt: before.queuedAt,
        leaseExpiresAt: keepsLease ? before.leaseExpiresAt : leaseExpiresAt,
        startedAt: before.startedAt ?? startedAt,
        finishedAt: before.finishedAt ?? finishedAt,
        updatedAt: effect.updated.includes(task.taskId) ? updatedAt : before.updatedAt,
      },
    );
  }
}
