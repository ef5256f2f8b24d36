import { beforeEach, describe, expect, it } from '@jest/globals';
import { TaskFollower } from '../../src/agent/supervisor/task-follower.js';
import { TaskWakeUps } from '../../src/agent/supervisor/task-wake-ups.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError } from '../../src/task/errors.js';
import type { TaskEvent } from '../../src/task/task-event.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { ManualChanges } from '../support/manual-changes.js';
import { ManualClock } from '../support/manual-clock.js';

const POLL_MS = 1_000;
const LIVE_POLL_MS = 5_000;

describe('TaskFollower', () => {
  let clock: ManualClock;
  let intercepted: InterceptedStorage;
  let changes: ManualChanges;
  let wakeUps: TaskWakeUps;
  let followed: TaskStorage;
  let follower: TaskFollower;
  let operations: string[];

  beforeEach(async () => {
    clock = new ManualClock();
    operations = [];
    intercepted = interceptStorage(createMemoryTaskStorage());
    changes = new ManualChanges();
    wakeUps = new TaskWakeUps(changes);
    followed = intercepted.storage;
    follower = new TaskFollower(clock, wakeUps);
    await intercepted.storage.createTask({ taskId: 'task', query: 'q', maxSteps: 1 });
    intercepted.intercept(async (operation) => {
      operations.push(operation);
    });
  });

  /** Follows a task on the side, keeping what it gets. */
  function follow(afterSequence = 0) {
    const leave = new AbortController();
    const events: TaskEvent[] = [];
    const collect = async (): Promise<void> => {
      for await (const event of follower.follow(followed, 'task', afterSequence, leave.signal)) {
        events.push(event);
      }
    };
    const ended = collect();
    ended.catch(() => undefined);
    return { events, ended, leave };
  }

  async function end(withEvent: boolean): Promise<void> {
    const events = withEvent ? [{ stage: 'finished', message: 'done' }] : [];
    await intercepted.storage.updateTask('task', { status: 'running' });
    await intercepted.storage.updateTask(
      'task',
      { status: 'finished', finalState: 'well' },
      { events },
    );
  }

  it('sees at once what a hint tells of', async () => {
    const { events } = follow();
    await clock.hasTimer();
    await intercepted.storage.appendEvents('task', [{ stage: 'one', message: '' }]);
    changes.tell('written', 'task');
    await clock.advance(0);
    expect(events.map(({ stage }) => stage)).toEqual(['one']);
  });

  it.each([
    ['are not heard', false, POLL_MS],
    ['are lost', true, LIVE_POLL_MS],
  ])('sees what is written at the next poll when hints %s', async (_what, isLive, pollMs) => {
    changes.isLive = isLive;
    const { events } = follow();
    await clock.hasTimer();
    await intercepted.storage.appendEvents('task', [{ stage: 'one', message: '' }]);
    await clock.advance(pollMs - 1);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events.map(({ stage }) => stage)).toEqual(['one']);
  });

  it('looks at everything when hints may have been missed', async () => {
    const { events, ended } = follow();
    await clock.hasTimer();
    await end(false);
    changes.tell('missed');
    await ended;
    expect(events.map(({ stage }) => stage)).toEqual(['finished']);
  });

  it('ends at once when a hint tells of an end that has no event, or of a deletion', async () => {
    const first = follow();
    await clock.hasTimer();
    await end(false);
    changes.tell('ended', 'another');
    changes.tell('ended', 'task');
    await first.ended;
    await intercepted.storage.deleteTask('task');
    await intercepted.storage.createTask({ taskId: 'task', query: 'q', maxSteps: 1 });
    const second = follow();
    await clock.hasTimer();
    await intercepted.storage.deleteTask('task');
    changes.tell('ended', 'task');
    await expect(second.ended).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
  });

  it('misses nothing that is written between its reading and its waiting', async () => {
    const { storage } = intercepted;
    let reads = 0;
    const racing: TaskStorage = Object.create(storage, {
      listEvents: {
        value: async (...query: Parameters<TaskStorage['listEvents']>) => {
          const found = await storage.listEvents(...query);
          reads += 1;
          if (reads === 2) {
            await storage.appendEvents('task', [{ stage: 'one', message: '' }]);
            changes.tell('written', 'task');
          }
          return found;
        },
      },
    });
    followed = racing;
    const { events } = follow();
    await clock.hasTimer();
    await clock.advance(POLL_MS);
    expect(events.map(({ stage }) => stage)).toEqual(['one']);
  });

  it('makes up the end of a task whose writer leaves no events', async () => {
    await end(false);
    const { events, ended } = follow();
    await ended;
    const task = await intercepted.storage.getTask('task');
    expect(events).toEqual([
      {
        taskId: 'task',
        sequence: 1,
        stage: 'finished',
        message: 'Task finished with status: well',
        status: 'finished',
        createdAt: task?.finishedAt,
      },
    ]);
  });

  it('makes up the end after the events that there are', async () => {
    await intercepted.storage.appendEvents('task', [{ stage: 'one', message: '' }]);
    await end(false);
    const { events, ended } = follow();
    await clock.advance(POLL_MS);
    await ended;
    expect(events.map(({ stage, sequence }) => [stage, sequence])).toEqual([
      ['one', 1],
      ['finished', 2],
    ]);
  });

  it('notices soon that a task has ended without an event', async () => {
    const { events, ended } = follow();
    await clock.hasTimer();
    await end(false);
    await clock.advance(5 * POLL_MS);
    await ended;
    expect(events.map(({ stage }) => stage)).toEqual(['finished']);
  });

  it('sends no end twice to a client that resumes after it', async () => {
    await end(true);
    const afterReal = follow(1);
    await afterReal.ended;
    expect(afterReal.events).toEqual([]);
    await intercepted.storage.deleteTask('task');
    await intercepted.storage.createTask({ taskId: 'task', query: 'q', maxSteps: 1 });
    await end(false);
    const afterMadeUp = follow(1);
    await afterMadeUp.ended;
    expect(afterMadeUp.events).toEqual([]);
  });

  it('says that a task is not found, or was deleted meanwhile', async () => {
    const { ended } = follow();
    await clock.hasTimer();
    await intercepted.storage.deleteTask('task');
    await clock.advance(5 * POLL_MS);
    await expect(ended).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await expect(follow().ended).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
  });

  it.each([
    ['are not heard', false, 20],
    ['are heard', true, 4],
  ])('does not read the whole task at each poll when hints %s', async (_what, isLive, polls) => {
    changes.isLive = isLive;
    const { leave, ended } = follow();
    await clock.hasTimer();
    operations = [];
    await clock.advance(20 * POLL_MS);
    expect(operations.filter((operation) => operation === 'listEvents')).toHaveLength(polls);
    expect(operations.filter((operation) => operation === 'getTask')).toHaveLength(4);
    leave.abort();
    await ended;
  });

  it('reads events only once for each write of this process', async () => {
    const { leave, ended } = follow();
    await clock.hasTimer();
    operations = [];
    for (let count = 0; count < 10; count += 1) {
      await intercepted.storage.appendEvents('task', [{ stage: 'one', message: '' }]);
      changes.tell('written', 'task');
      await clock.advance(0);
    }
    expect(operations.filter((operation) => operation !== 'appendEvents')).toEqual(
      Array.from({ length: 10 }, () => 'listEvents'),
    );
    leave.abort();
    await ended;
  });

  it('leaves nothing behind when it ends', async () => {
    const { leave, ended } = follow();
    await clock.hasTimer();
    leave.abort();
    await ended;
    expect(clock.timerCount).toBe(0);
  });

  it('holds few events at a time when they are large', async () => {
    const count = 40;
    const message = 'x'.repeat(400_000);
    await intercepted.storage.appendEvents(
      'task',
      Array.from({ length: count }, (_, index) => ({ stage: String(index), message })),
    );
    await end(true);
    const { storage } = intercepted;
    const pages: number[] = [];
    const counting: TaskStorage = Object.create(storage, {
      listEvents: {
        value: async (...query: Parameters<TaskStorage['listEvents']>) => {
          const found = await storage.listEvents(...query);
          pages.push(found.length);
          return found;
        },
      },
    });
    followed = counting;
    const { events, ended } = follow();
    await ended;
    expect(events).toHaveLength(count + 1);
    expect(pages[0]).toBeLessThanOrEqual(20);
    expect(Math.max(...pages.slice(1))).toBe(2);
  });

  it('ends at once when the service stops while the storage is away', async () => {
    const { ended } = follow();
    await clock.hasTimer();
    intercepted.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    await clock.advance(POLL_MS);
    follower.stop();
    await expect(ended).rejects.toMatchObject({ code: 'STOPPING' });
    expect(clock.timerCount).toBe(0);
  });

  it('ends with an error when the service stops, but not before it has caught up', async () => {
    const { events, ended } = follow();
    await clock.hasTimer();
    await intercepted.storage.appendEvents('task', [{ stage: 'one', message: '' }]);
    follower.stop();
    await expect(ended).rejects.toMatchObject({ code: 'STOPPING' });
    expect(events.map(({ stage }) => stage)).toEqual(['one']);
  });
});
