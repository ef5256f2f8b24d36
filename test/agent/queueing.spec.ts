import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { TaskStorageError } from '../../src/task/errors.js';
import { statusOf } from '../support/agent-clients.js';
import {
  describeReplicas,
  pass,
  search,
  stopReplica,
  submitTo,
  type Replica,
} from '../support/agent-replicas.js';
import { ScriptedRunner } from '../support/scripted-runner.js';
import { eventually } from '../support/eventually.js';

/** How often a replica looks for queued tasks that it has heard nothing of. */
const LIVE_POLL_MS = 5_000;
const POLL_MS = 1_000;

describeReplicas(
  'The queue',
  (replicas) => {
    /** Submits tasks one after the other. */
    async function submitMany(replica: Replica, count: number): Promise<string[]> {
      const ids: string[] = [];
      for (let index = 0; index < count; index += 1) {
        ids.push(await submitTo(replica));
      }
      return ids;
    }

    it('takes what is above the limit, and starts the oldest when a place is free', async () => {
      const replica = await replicas.start('host:1');
      const ids = await submitMany(replica, 5);
      const [first, second] = [await replica.runner.next(), await replica.runner.next()];
      // Claimed together, they may start in either order.
      expect([first.taskId, second.taskId].toSorted()).toEqual(ids.slice(0, 2).toSorted());
      await replica.quiet();
      expect(replica.runner.started).toBe(2);
      expect(await replicas.task(ids[2] ?? '')).toMatchObject({
        status: 'pending',
        leaseOwner: null,
        attempt: 0,
        queuedAt: expect.any(Date),
      });
      second.finish();
      const third = await replica.runner.next();
      first.finish();
      const fourth = await replica.runner.next();
      expect([third.taskId, fourth.taskId]).toEqual(ids.slice(2, 4));
    });

    it('answers that a queued task is pending, and streams it from the queue to its end', async () => {
      const replica = await replicas.start('host:1');
      await submitMany(replica, 2);
      const runs = [await replica.runner.next(), await replica.runner.next()];
      const { agent } = replica.service;
      const stream = agent.stream('RunAgentInstruction', { instruction: 'wait' });
      const { taskId } = await stream.next();
      expect(await agent.call('QueryTaskStatus', { taskId })).toMatchObject({ status: 'PENDING' });
      runs.forEach((run) => run.finish());
      const run = await replica.runner.next();
      expect(run.taskId).toBe(taskId);
      await run.report('one');
      run.finish();
      expect((await stream.ended).map(({ stage }) => stage)).toEqual([
        'starting',
        'one',
        'finished',
      ]);
    });

    it('keeps the limit and the order over two replicas', async () => {
      const runner = new ScriptedRunner();
      const one = await replicas.start('host:1', { runner });
      await replicas.start('host:2', { runner });
      const ids = await submitMany(one, 6);
      const all = async () => replicas.storage.listTasks({ status: 'running' });
      await eventually(all, ({ tasks }) => tasks.length === 2);
      const order: string[] = [];
      while (order.length < ids.length) {
        const run = await runner.next();
        order.push(run.taskId);
        expect((await all()).tasks.length).toBeLessThanOrEqual(2);
        run.finish();
      }
      expect(order.toSorted()).toEqual(ids.toSorted());
      // Of two that run at once the later may come first.
      order.forEach((taskId, place) => {
        expect(Math.abs(ids.indexOf(taskId) - place)).toBeLessThanOrEqual(1);
      });
    });

    it('is emptied by a replica that hears nothing of it', async () => {
      const deaf = await replicas.start('host:1');
      for (const [isLive, pollMs] of [
        [false, POLL_MS],
        [true, LIVE_POLL_MS],
      ] as const) {
        deaf.changes.silence();
        await pass(deaf, LIVE_POLL_MS);
        deaf.changes.isLive = isLive;
        await pass(deaf, LIVE_POLL_MS);
        const taskId = await submitTo(deaf);
        await deaf.quiet();
        expect((await replicas.task(taskId)).status).toBe('pending');
        await pass(deaf, pollMs);
        expect((await deaf.runner.next()).taskId).toBe(taskId);
      }
    });

    it('is looked at when a run has ended, hints or no hints', async () => {
      const replica = await replicas.start('host:1', { maxTasks: 1 });
      const ids = await submitMany(replica, 2);
      const first = await replica.runner.next();
      await replica.quiet();
      replica.changes.silence();
      first.finish();
      expect((await replica.runner.next()).taskId).toBe(ids[1]);
    });

    it('is looked at when hints may have been missed', async () => {
      const replica = await replicas.start('host:1');
      replica.changes.silence();
      const taskId = await submitTo(replica);
      replica.changes.tell('missed');
      expect((await replica.runner.next()).taskId).toBe(taskId);
    });

    it('never starts a task that was cancelled in it', async () => {
      const runner = new ScriptedRunner();
      const one = await replicas.start('host:1', { runner });
      const two = await replicas.start('host:2', { runner });
      const [, , waiting = ''] = await submitMany(one, 3);
      const runs = [await runner.next(), await runner.next()];
      const { agent } = two.service;
      expect(await agent.call('CancelTask', { taskId: waiting })).toMatchObject({ success: true });
      runs.forEach((run) => run.finish());
      const last = await submitTo(one);
      expect((await runner.next()).taskId).toBe(last);
      expect(await replicas.task(waiting)).toMatchObject({ status: 'cancelled', attempt: 0 });
      expect(await replicas.stagesOf(waiting)).toEqual(['starting', 'cancelled']);
    });

    it('gives a task to another replica when the one that claimed it is lost before its start', async () => {
      const lost = await replicas.start('host:1', { maxTasksPerReplica: 1 });
      lost.line.intercept(async (operation) => {
        if (operation === 'updateTask') {
          throw new TaskStorageError('UNAVAILABLE', 'down');
        }
      });
      const taskId = await submitTo(lost);
      await replicas.untilTask(taskId, ({ leaseOwner }) => leaseOwner !== null);
      const other = await replicas.start('host:2');
      await replicas.expireLease(taskId);
      await search(other);
      const run = await other.runner.next();
      expect(run.run).toMatchObject({ taskId, attempt: 2, saved: {} });
      run.finish();
      await replicas.untilTask(taskId, (task) => task.status === 'finished');
      expect(await replicas.stagesOf(taskId)).toEqual(['starting', 'finished']);
      expect(lost.runner.started).toBe(0);
    });

    it('is left to replicas that run tasks by one that runs none', async () => {
      const idle = await replicas.start('idle', { runner: null });
      await replicas.storage.createTask(
        { taskId: 'queued', query: 'q', maxSteps: 1, requestData: { instruction: 'q' } },
        { queue: true },
      );
      await replicas.storage.leases.claimQueued({ owner: 'lost#boot', leaseMs: 1, limit: 1 });
      await replicas.untilTask('queued', ({ attempt }) => attempt === 1);
      await search(idle);
      await search(idle);
      expect((await replicas.task('queued')).status).toBe('pending');
      const other = await replicas.start('host:2');
      expect((await other.runner.next()).taskId).toBe('queued');
    });

    it('lets a replica run no more tasks than it may, and others the rest', async () => {
      const small = await replicas.start('host:1', { maxTasksPerReplica: 1, maxTasks: 10 });
      await submitMany(small, 3);
      const run = await small.runner.next();
      await small.quiet();
      expect(small.runner.started).toBe(1);
      const large = await replicas.start('host:2', { maxTasks: 10 });
      await large.runner.next();
      await large.runner.next();
      run.finish();
      await small.quiet();
      expect(small.runner.started).toBe(1);
    });

    it('passes over a tenant that is at its limit', async () => {
      const options = { maxTasks: 10, maxTasksPerTenant: 1 };
      const replica = await replicas.start('host:1', options);
      await submitMany(replica, 2);
      await replicas.storage.createTask(
        {
          taskId: 'other',
          tenantId: 'b',
          query: 'q',
          maxSteps: 1,
          requestData: { instruction: 'q' },
        },
        { queue: true },
      );
      replica.changes.tell('queued', 'other');
      const runs = [await replica.runner.next(), await replica.runner.next()];
      expect(runs.map(({ taskId }) => taskId)).toContain('other');
      await replica.quiet();
      expect(replica.runner.started).toBe(2);
    });

    it('refuses nothing but what cannot be stored', async () => {
      const replica = await replicas.start('host:1');
      const error = await statusOf(submitTo(replica, { instruction: '' }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(await replicas.storage.countActiveTasks()).toBe(0);
    });

    it('is left behind by a replica that stops', async () => {
      const replica = await replicas.start('host:1');
      const ids = await submitMany(replica, 3);
      await replica.runner.next();
      await replica.runner.next();
      await stopReplica(replica);
      const other = await replicas.start('host:2');
      expect((await other.runner.next()).taskId).toBe(ids[2]);
    });
  },
  { maxTasks: 2, whenFull: 'queue' },
);
