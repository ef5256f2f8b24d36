import { Logger } from '@nestjs/common';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaseKeeper } from '../../src/agent/supervisor/lease-keeper.js';
import type { TaskFollower } from '../../src/agent/supervisor/task-follower.js';
import type { TaskSupervisor } from '../../src/agent/supervisor/task-supervisor.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { InvalidTaskError, TaskStorageError } from '../../src/task/errors.js';
import type { TaskEvent } from '../../src/task/task-event.js';
import type { TaskStatus } from '../../src/task/task.js';
import { createAgentParts, REQUEST } from '../support/agent-parts.js';
import { createGate } from '../support/gate.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { ManualChanges, withChanges } from '../support/manual-changes.js';
import { ManualClock } from '../support/manual-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const LEASE_MS = 30_000;

describe('TaskSupervisor', () => {
  let clock: ManualClock;
  let intercepted: InterceptedStorage;
  let runner: ScriptedRunner;
  let changes: ManualChanges;
  let keeper: LeaseKeeper;
  let supervisor: TaskSupervisor;
  let follower: TaskFollower;
  let logger: RecordingLogger;

  beforeEach(() => {
    logger = new RecordingLogger();
    Logger.overrideLogger(logger);
    clock = new ManualClock();
    changes = new ManualChanges();
    intercepted = interceptStorage(withChanges(createMemoryTaskStorage(), changes));
    runner = new ScriptedRunner(false);
    const { storage } = intercepted;
    ({ keeper, supervisor, follower } = createAgentParts(storage, clock, runner, {
      leaseMs: LEASE_MS,
    }));
    keeper.start();
  });

  async function eventsOf(taskId: string): Promise<TaskEvent[]> {
    const events: TaskEvent[] = [];
    for await (const event of follower.follow(taskId, 0, new AbortController().signal)) {
      events.push(event);
    }
    return events;
  }

  async function stagesOf(taskId: string): Promise<string[]> {
    return (await eventsOf(taskId)).map(({ stage }) => stage);
  }

  /** Holds back the next call of an operation until the gate is opened. */
  function holdBack(operation: string) {
    const reached = createGate();
    const gate = createGate();
    intercepted.intercept(async (name) => {
      if (name === operation) {
        intercepted.intercept(null);
        reached.open();
        await gate.opened;
      }
    });
    return { reached: reached.opened, letGo: () => gate.open() };
  }

  async function updateStatus(taskId: string, status: TaskStatus): Promise<unknown> {
    return intercepted.storage.updateTask(taskId, { status });
  }

  /** What is asked of the storage while a time passes. */
  async function operationsWithin(ms: number): Promise<string[]> {
    const operations: string[] = [];
    intercepted.intercept(async (operation) => void operations.push(operation));
    await clock.advance(ms);
    return operations;
  }

  it('marks the tasks that it runs as its own', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    await runner.next();
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({
      status: 'running',
      leaseOwner: 'me#now',
      leaseExpiresAt: expect.any(Date),
      attempt: 1,
      version: 2,
    });
  });

  it('never starts the runner of a task that is cancelled while it is pending', async () => {
    const start = holdBack('updateTask');
    const { taskId } = await supervisor.submit(REQUEST);
    await start.reached;
    const cancellation = supervisor.cancel(taskId);
    start.letGo();
    expect(await cancellation).toEqual({ kind: 'cancelled' });
    expect(await stagesOf(taskId)).toEqual(['starting', 'cancelled']);
    expect(runner.started).toBe(0);
  });

  it('never starts the runner of a task that another process cancels while it is pending', async () => {
    const start = holdBack('updateTask');
    const { taskId } = await supervisor.submit(REQUEST);
    await start.reached;
    await intercepted.storage.updateTask(taskId, { status: 'cancelled' });
    start.letGo();
    await supervisor.stop(0);
    expect(runner.started).toBe(0);
    expect((await intercepted.storage.getTask(taskId))?.status).toBe('cancelled');
  });

  it('lets a task finish whose end was being written when the cancellation came', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    const end = holdBack('updateTask');
    run.finish({ result: 'in time' });
    await end.reached;
    const cancellation = supervisor.cancel(taskId);
    end.letGo();
    expect(await cancellation).toEqual({ kind: 'ended-before', status: 'finished' });
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({ result: 'in time' });
  });

  it('writes one end when a task is cancelled by many at once', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    await runner.next();
    const cancellations = await Promise.all(
      Array.from({ length: 5 }, async () => supervisor.cancel(taskId)),
    );
    expect(cancellations.filter(({ kind }) => kind === 'cancelled')).toHaveLength(1);
    expect(await stagesOf(taskId)).toEqual(['starting', 'cancelled']);
  });

  it('flushes the stages that were reported before a cancellation', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    const append = holdBack('appendEvents');
    void run.report('one');
    void run.report('two');
    await append.reached;
    const cancellation = supervisor.cancel(taskId);
    append.letGo();
    await cancellation;
    expect(await stagesOf(taskId)).toEqual(['starting', 'one', 'two', 'cancelled']);
  });

  it('notices that another process has cancelled the task when a stage is written', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    changes.silence();
    await intercepted.storage.updateTask(taskId, { status: 'cancelled' });
    void run.report('one');
    await run.aborted;
    run.finish({ result: 'too late' });
    await supervisor.stop(0);
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({
      status: 'cancelled',
      result: null,
    });
  });

  it('notices that another process has cancelled the task when progress is written', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    changes.silence();
    await intercepted.storage.updateTask(taskId, { status: 'cancelled' });
    void run.run.saveProgress({ executionStatistics: { steps: 1 } });
    await run.aborted;
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({ executionStatistics: null });
  });

  it.each([
    ['cancelled', async (taskId: string) => updateStatus(taskId, 'cancelled')],
    ['deleted', async (taskId: string) => intercepted.storage.deleteTask(taskId)],
  ])('stops a silent runner at the hint that its task was %s', async (_what, end) => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    changes.silence();
    await end(taskId);
    changes.tell('ended', 'another');
    changes.tell('written', taskId);
    await clock.advance(0);
    expect(run.run.signal.aborted).toBe(false);
    changes.tell('ended', taskId);
    await run.aborted;
  });

  it.each([
    ['cancelled', async (taskId: string) => updateStatus(taskId, 'cancelled')],
    ['deleted', async (taskId: string) => intercepted.storage.deleteTask(taskId)],
  ])('stops a silent runner without a hint when its task was %s', async (_what, end) => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    await clock.advance(60_000);
    expect(run.run.signal.aborted).toBe(false);
    changes.silence();
    await end(taskId);
    await clock.advance(LEASE_MS / 6);
    expect(run.run.signal.aborted).toBe(true);
    run.finish();
    await supervisor.stop(0);
    expect(await operationsWithin(60_000)).toEqual([]);
  });

  it('believes no hint that the storage does not confirm', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    changes.tell('ended', taskId);
    await clock.advance(0);
    refuse('getTask', 1);
    changes.tell('ended', taskId);
    await clock.advance(0);
    expect(run.run.signal.aborted).toBe(false);
  });

  it('goes on when somebody else has changed another field of the task', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    await intercepted.storage.updateTask(taskId, { timestampDir: '/somewhere' });
    await run.run.saveProgress({ executionStatistics: { steps: 1 } });
    run.finish();
    expect(await stagesOf(taskId)).toEqual(['starting', 'finished']);
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({
      executionStatistics: { steps: 1 },
      timestampDir: '/somewhere',
    });
  });

  it('aborts the runner of a task that is deleted', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    expect(await supervisor.delete(taskId)).toBe(true);
    await run.aborted;
    expect(await supervisor.delete(taskId)).toBe(false);
    expect(await supervisor.cancel(taskId)).toEqual({ kind: 'unknown' });
  });

  it('makes everything storable that a runner says', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    await run.report('a\0b', 'half a pair: \u{D800}');
    await run.report('', 'no name');
    await run.report('😀'.repeat(300), 'long');
    await run.run.saveProgress({
      conversationHistory: { 'key\0': ['text\u{DC00}'] },
      executionStatistics: { cost: Number.NaN },
    });
    run.finish({ finalState: 'x'.repeat(60), result: 'done\0' });
    const [, first, second, third] = await eventsOf(taskId);
    expect(first).toMatchObject({ stage: 'a\u{FFFD}b', message: 'half a pair: \u{FFFD}' });
    expect(second?.stage).toBe('unnamed');
    expect(Array.from(third?.stage ?? '')).toHaveLength(255);
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({
      status: 'finished',
      finalState: 'x'.repeat(50),
      result: 'done\u{FFFD}',
      conversationHistory: { 'key\u{FFFD}': ['text\u{FFFD}'] },
      executionStatistics: null,
    });
    expect(logger.messages('warn').join()).toContain('executionStatistics.cost is NaN');
  });

  it('ends a task whose runner breaks its contract', async () => {
    for (const outcome of [undefined, null, 7]) {
      const { taskId } = await supervisor.submit(REQUEST);
      const run = await runner.next();
      Reflect.apply(run.finish, run, [outcome]);
      expect((await stagesOf(taskId)).at(-1)).toMatch(/finished|error/);
    }
    for (const reason of ['just text', undefined, new Error('')]) {
      const { taskId } = await supervisor.submit(REQUEST);
      const run = await runner.next();
      run.fail(reason);
      const last = (await eventsOf(taskId)).at(-1);
      expect(last?.stage).toBe('error');
      expect(last?.message).not.toBe('');
    }
  });

  it('ends a task as an error when a stage is refused for good', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    intercepted.intercept(async (operation) => {
      if (operation === 'appendEvents') {
        intercepted.intercept(null);
        throw new InvalidTaskError('events', 'is refused');
      }
    });
    void run.report('one');
    await run.aborted;
    expect((await eventsOf(taskId)).at(-1)).toMatchObject({
      stage: 'error',
      message: 'The progress of the task could not be stored.',
    });
  });

  it('ends a task as an error when its end is refused', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    intercepted.intercept(async (operation) => {
      if (operation === 'updateTask') {
        intercepted.intercept(null);
        throw new InvalidTaskError('result', 'is refused');
      }
    });
    run.finish({ result: 'too large' });
    expect((await eventsOf(taskId)).at(-1)).toMatchObject({
      stage: 'error',
      message: 'The end of the task could not be stored.',
    });
  });

  function refuse(operation: string, refusals: number): void {
    let left = refusals;
    intercepted.intercept(async (name) => {
      if (name === operation && left > 0) {
        left -= 1;
        throw new TaskStorageError('INTERNAL', 'The storage is confused');
      }
    });
  }

  it('ends a task as an error, and never runs it, when its start is refused', async () => {
    refuse('updateTask', 1);
    const { taskId } = await supervisor.submit(REQUEST);
    expect((await eventsOf(taskId)).at(-1)).toMatchObject({
      stage: 'error',
      message: 'The start of the task could not be stored.',
    });
    expect(runner.started).toBe(0);
  });

  it('ends a task in the end, however often the storage refuses to', async () => {
    refuse('updateTask', 10);
    const { taskId } = await supervisor.submit(REQUEST);
    await clock.advance(60_000);
    expect((await stagesOf(taskId)).at(-1)).toBe('error');
    expect(await intercepted.storage.countActiveTasks()).toBe(0);
    expect(await operationsWithin(60_000)).toEqual([]);
  });

  it('gives up a task that the storage refuses to end when the service stops', async () => {
    refuse('updateTask', Infinity);
    const { taskId } = await supervisor.submit(REQUEST);
    const stopped = supervisor.stop(0);
    await clock.advance(10_000);
    await stopped;
    await clock.advance(10_000);
    expect(logger.messages('error').join()).toContain(`Task ${taskId} is left as it is`);
    expect(await operationsWithin(60_000)).toEqual([]);
  });

  it('does not tell a runner to stop that has ended by itself', async () => {
    const { taskId } = await supervisor.submit(REQUEST);
    const run = await runner.next();
    run.finish();
    await stagesOf(taskId);
    expect(run.run.signal.aborted).toBe(false);
  });

  it('never starts the runner of a task whose creation took as long as its lease', async () => {
    const create = holdBack('createTask');
    const submission = supervisor.submit(REQUEST);
    await create.reached;
    await clock.advance(LEASE_MS);
    create.letGo();
    const { taskId } = await submission;
    await supervisor.stop(0);
    expect(runner.started).toBe(0);
    expect((await intercepted.storage.getTask(taskId))?.status).toBe('pending');
    expect(logger.messages('warn').join()).toContain('its lease could not be renewed in time');
  });

  it('interrupts a task that was being created when the service was stopped', async () => {
    const create = holdBack('createTask');
    const submission = supervisor.submit(REQUEST);
    await create.reached;
    const stopped = supervisor.stop(10);
    await clock.advance(10);
    create.letGo();
    await stopped;
    const { taskId } = await submission;
    expect(await intercepted.storage.getTask(taskId)).toMatchObject({ finalState: 'interrupted' });
    expect(runner.started).toBe(0);
    await expect(supervisor.submit(REQUEST)).rejects.toMatchObject({ code: 'STOPPING' });
  });
});
