import { beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { ManualClock } from '../support/manual-clock.js';

const MINUTE_MS = 60_000;

function newTask(taskId: string, status: 'pending' | 'running' = 'running') {
  return { taskId, query: 'open the shop', maxSteps: 5, status };
}

async function listIds(storage: Pick<TaskStorage, 'listTasks'>, pageSize = 100): Promise<string[]> {
  const ids: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await storage.listTasks({ limit: pageSize, pageToken });
    ids.push(...page.tasks.map(({ taskId }) => taskId));
    pageToken = page.nextPageToken ?? undefined;
  } while (pageToken !== undefined);
  return ids;
}

describe('the memory storage', () => {
  let clock: ManualClock;
  let storage: TaskStorage;

  beforeEach(() => {
    clock = new ManualClock();
    storage = createMemoryTaskStorage({ clock });
  });

  it('orders tasks of one instant by code point, where UTF-16 order differs', async () => {
    const ids = ['a', 'b', 'ab', 'Z', '\u{1F98A}', '\uFB00', '\u{1F98A}\uFB00', '\uD7FF', 'é'];
    for (const id of ids) {
      await storage.createTask(newTask(id));
    }
    const byUtf8Bytes = ids.toSorted((left, right) =>
      Buffer.compare(Buffer.from(right), Buffer.from(left)),
    );
    expect(await listIds(storage)).toEqual(byUtf8Bytes);
    expect(await listIds(storage, 1)).toEqual(byUtf8Bytes);
  });

  it('keeps the order of the times when the clock jumps back', async () => {
    await storage.createTask(newTask('noon'));
    await clock.advance(-MINUTE_MS);
    await storage.createTask(newTask('before noon'));
    await clock.advance(2 * MINUTE_MS);
    await storage.createTask(newTask('after noon'));
    expect(await listIds(storage, 1)).toEqual(['after noon', 'noon', 'before noon']);
  });

  it('takes every time from its clock', async () => {
    const created = clock.now();
    await storage.createTask(newTask('task', 'pending'), {
      events: [{ stage: 'starting', message: '' }],
    });
    await clock.advance(MINUTE_MS);
    const started = clock.now();
    await storage.updateTask('task', { status: 'running' });
    await clock.advance(MINUTE_MS);
    const finished = clock.now();
    await storage.updateTask('task', { status: 'finished' });
    expect(await storage.getTask('task')).toMatchObject({
      createdAt: created,
      startedAt: started,
      finishedAt: finished,
      updatedAt: finished,
    });
    expect(await storage.listEvents('task')).toMatchObject([{ createdAt: created }]);
  });

  it('deletes a task that ended exactly the given days ago, and none that ended later', async () => {
    for (const id of ['first', 'second']) {
      await storage.createTask(newTask(id));
      await storage.updateTask(id, { status: 'finished' });
      await clock.advance(1);
    }
    await clock.advance(3 * 24 * 60 * MINUTE_MS - 2);
    expect(await storage.cleanupOldTasks(3)).toBe(1);
    expect(await listIds(storage)).toEqual(['second']);
  });

  it('shares nothing with another memory storage, page tokens included', async () => {
    const other = createMemoryTaskStorage({ clock });
    await storage.createTask(newTask('a'));
    await storage.createTask(newTask('b'));
    const { nextPageToken } = await storage.listTasks({ limit: 1 });
    expect(await other.getTask('a')).toBeNull();
    await expect(other.listTasks({ pageToken: nextPageToken ?? '' })).rejects.toMatchObject({
      field: 'pageToken',
    });
  });

  describe('leases', () => {
    const LEASE_MS = 10_000;
    const claim = { owner: 'claimer', leaseMs: LEASE_MS, limit: 10 };
    const lease = { owner: 'holder', leaseMs: LEASE_MS };

    async function claimedIds(
      claiming: ReturnType<TaskStorage['leases']['claimExpired']>,
    ): Promise<string[]> {
      return (await claiming).map(({ task }) => task.taskId);
    }

    it('are over at the very millisecond that they end at', async () => {
      await storage.createTask(newTask('task'), { lease });
      await clock.advance(LEASE_MS - 1);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual([]);
      await clock.advance(1);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual(['task']);
    });

    it('are prolonged from the time of the renewal', async () => {
      await storage.createTask(newTask('task'), { lease });
      await clock.advance(LEASE_MS - 1);
      await storage.leases.renew(lease);
      expect((await storage.getTask('task'))?.leaseExpiresAt).toEqual(
        new Date(clock.now().getTime() + LEASE_MS),
      );
      await clock.advance(LEASE_MS - 1);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual([]);
    });

    it('are kept in order when they are renewed, given up and taken over', async () => {
      for (const id of ['a', 'b', 'c', 'd']) {
        await storage.createTask(newTask(id), { lease: { ...lease, owner: id } });
        await clock.advance(1);
      }
      await storage.leases.renew({ ...lease, owner: 'a' });
      await storage.updateTask('b', { status: 'finished' });
      await storage.deleteTask('d');
      await clock.advance(LEASE_MS);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual(['c', 'a']);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual([]);
      await clock.advance(LEASE_MS);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual(['a', 'c']);
    });

    it('of one instant are claimed by code point, queued tasks of one instant too', async () => {
      const ids = ['\u{1F98A}', 'a', '\uFB00', 'B'];
      for (const id of ids) {
        await storage.createTask(newTask(id, 'pending'), { queue: true });
      }
      const byCodePoint = ['B', 'a', '\uFB00', '\u{1F98A}'];
      expect(await claimedIds(storage.leases.claimQueued(claim))).toEqual(byCodePoint);
      await clock.advance(LEASE_MS);
      expect(await claimedIds(storage.leases.claimExpired(claim))).toEqual(byCodePoint);
    });

    it('of stale tasks follow the expired ones, the one first that was updated first', async () => {
      for (const id of ['stale 2', 'stale 1']) {
        await storage.createTask(newTask(id));
      }
      await clock.advance(MINUTE_MS);
      await storage.updateTask('stale 2', { result: 'a step' });
      await storage.createTask(newTask('expired'), { lease });
      await clock.advance(MINUTE_MS);
      const options = { ...claim, staleRunningMinutes: 1 };
      expect(await claimedIds(storage.leases.claimExpired({ ...options, limit: 2 }))).toEqual([
        'expired',
        'stale 1',
      ]);
      expect(await claimedIds(storage.leases.claimExpired(options))).toEqual(['stale 2']);
    });
  });

  describe('changes', () => {
    let seen: string[];

    beforeEach(() => {
      seen = [];
      storage.changes.listen(({ kind, taskId }) => seen.push(`${kind} ${taskId}`));
    });

    it('are live and told in their order, before the caller goes on', async () => {
      expect(storage.changes.isLive).toBe(true);
      const creating = storage.createTask(newTask('task', 'pending'), { queue: true });
      expect(seen).toEqual([]);
      await creating;
      await storage.leases.claimQueued({ owner: 'claimer', leaseMs: 1, limit: 1 });
      await storage.appendEvents('task', [{ stage: 'starting', message: '' }]);
      await storage.updateTask('task', { status: 'running' });
      await storage.updateTask('task', { status: 'finished' });
      await storage.deleteTask('task');
      expect(seen).toEqual([
        'queued task',
        'written task',
        'written task',
        'written task',
        'ended task',
        'ended task',
      ]);
    });

    it('are not told of what changes nothing', async () => {
      await storage.createTask(newTask('task'), { lease: { owner: 'holder', leaseMs: 1 } });
      seen = [];
      await storage.createTask(newTask('task'));
      await storage.updateTask('missing', {});
      await storage.deleteTask('missing');
      await storage.updateTask('task', { status: 'pending' }).catch(() => undefined);
      await storage.leases.renew({ owner: 'holder', leaseMs: 1 });
      await storage.leases.claimQueued({ owner: 'holder', leaseMs: 1, limit: 1 });
      await storage.cleanupOldTasks(0);
      expect(seen).toEqual([]);
    });

    it('are told of a task that is given up for another', async () => {
      storage = createMemoryTaskStorage({ clock, maxTasks: 1 });
      await storage.createTask(newTask('first'));
      await storage.updateTask('first', { status: 'finished' });
      storage.changes.listen(({ kind, taskId }) => seen.push(`${kind} ${taskId}`));
      await storage.createTask(newTask('second'));
      expect(seen).toEqual(['ended first', 'written second']);
    });

    it('are not told any more after close, those under way included', async () => {
      const creating = storage.createTask(newTask('task'));
      await storage.close();
      await creating;
      expect(seen).toEqual([]);
      expect(storage.changes.isLive).toBe(false);
    });

    it('are told to a listener of a listener from the next one on', async () => {
      let depth = 0;
      const listenDeeper = (): void => {
        depth += 1;
        storage.changes.listen(listenDeeper);
      };
      storage.changes.listen(listenDeeper);
      await storage.createTask(newTask('a'));
      expect(depth).toBe(1);
      await storage.createTask(newTask('b'));
      expect(depth).toBe(3);
    });
  });

  describe('with maxTasks', () => {
    beforeEach(() => {
      storage = createMemoryTaskStorage({ clock, maxTasks: 3 });
    });

    it('gives up the task that ended first, with its events, and never an active one', async () => {
      const events = [{ stage: 'starting', message: '' }];
      for (const id of ['active', 'ended last', 'ended first']) {
        await storage.createTask(newTask(id), { events });
      }
      await storage.updateTask('ended first', { status: 'error' });
      await storage.updateTask('ended last', { status: 'finished' });

      expect(await storage.createTask(newTask('fourth'))).toBe(true);
      expect(await storage.getTask('ended first')).toBeNull();
      expect(await storage.createTask(newTask('fifth'))).toBe(true);
      expect((await listIds(storage)).toSorted()).toEqual(['active', 'fifth', 'fourth']);

      await storage.deleteTask('fifth');
      await storage.createTask(newTask('ended first'));
      expect(await storage.listEvents('ended first')).toEqual([]);
    });

    it('refuses a task when all are active', async () => {
      for (const id of ['a', 'b', 'c']) {
        await storage.createTask(newTask(id, 'pending'));
      }
      await expect(storage.createTask(newTask('d'))).rejects.toMatchObject({
        code: 'LIMIT_REACHED',
        limit: 3,
      });
      expect(await storage.createTask(newTask('a'))).toBe(false);
      expect((await listIds(storage)).toSorted()).toEqual(['a', 'b', 'c']);
    });

    it('gives up nothing for a task that is not admitted', async () => {
      for (const id of ['a', 'b', 'ended']) {
        await storage.createTask(newTask(id));
      }
      await storage.updateTask('ended', { status: 'cancelled' });
      await expect(storage.createTask(newTask('d'), { maxActiveTasks: 2 })).rejects.toMatchObject({
        code: 'LIMIT_REACHED',
        limit: 2,
      });
      expect(await storage.createTask(newTask('a'))).toBe(false);
      expect(await storage.getTask('ended')).not.toBeNull();
    });

    it('gives up tasks of other tenants too', async () => {
      for (const id of ['a', 'b', 'ended']) {
        await storage.forTenant('one').createTask(newTask(id));
      }
      await storage.forTenant('one').updateTask('ended', { status: 'finished' });
      expect(await storage.forTenant('two').createTask(newTask('c'))).toBe(true);
      expect(await listIds(storage.forTenant('one'))).toEqual(['b', 'a']);
    });
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses maxTasks %p when it is created', (maxTasks) => {
    expect(() => createMemoryTaskStorage({ maxTasks })).toThrow(/^maxTasks is .*; write a whole/);
  });
});
