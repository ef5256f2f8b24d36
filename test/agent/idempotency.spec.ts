import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { TaskStorageError } from '../../src/task/errors.js';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { describeReplicas, submitTo } from '../support/agent-replicas.js';

const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function withKey(key: string) {
  return { 'idempotency-key': key };
}

describeReplicas(
  'An idempotency key',
  (replicas) => {
    it('gives the same task for the same request, whichever replica is asked', async () => {
      const [one, two] = [await replicas.start('host:1'), await replicas.start('host:2')];
      const request = { runningConfig: { steps: 3, authorizationInfo: { apiKey: 'secret-1' } } };
      const taskId = await submitTo(one, request, withKey('a'));
      expect(taskId).toMatch(UUID_V8);
      expect(await submitTo(one, request, withKey('a'))).toBe(taskId);
      expect(await submitTo(two, request, withKey('a'))).toBe(taskId);
      const run = await one.runner.next();
      run.finish();
      await replicas.untilTask(taskId, (task) => task.status === 'finished');
      expect(await submitTo(two, request, withKey('a'))).toBe(taskId);
      expect([one.runner.started, two.runner.started]).toEqual([1, 0]);
    });

    it('gives new tasks for other keys, and for none', async () => {
      const replica = await replicas.start('host:1', { maxTasks: 10 });
      const ids = [
        await submitTo(replica, {}, withKey('a')),
        await submitTo(replica, {}, withKey('A')),
        await submitTo(replica),
        await submitTo(replica),
      ];
      expect(new Set(ids).size).toBe(4);
    });

    it('makes a new task when the first was deleted', async () => {
      const replica = await replicas.start('host:1');
      const taskId = await submitTo(replica, {}, withKey('a'));
      await replica.runner.next();
      await replica.service.tasks.call('DeleteTask', { task_id: taskId });
      await replica.quiet();
      expect(await submitTo(replica, {}, withKey('a'))).toBe(taskId);
      await replica.runner.next();
    });

    it('lets a repeated stream follow the task, from its first stage on', async () => {
      const [one, two] = [await replicas.start('host:1'), await replicas.start('host:2')];
      const request = { instruction: 'run' };
      const first = one.service.agent.stream('RunAgentInstruction', request, withKey('a'));
      const run = await one.runner.next();
      await run.report('one');
      const repeated = two.service.agent.stream('RunAgentInstruction', request, withKey('a'));
      await repeated.next();
      run.finish();
      const stages = ['starting', 'one', 'finished'];
      expect((await first.ended).map(({ stage }) => stage)).toEqual(stages);
      expect((await repeated.ended).map(({ stage }) => stage)).toEqual(stages);
      const late = two.service.agent.stream('RunAgentInstruction', request, withKey('a'));
      expect((await late.ended).map(({ stage }) => stage)).toEqual(stages);
      expect(one.runner.started + two.runner.started).toBe(1);
    });

    it('cancels the task with the first stream, and not with a repeated one', async () => {
      const replica = await replicas.start('host:1');
      const request = { instruction: 'run' };
      const { agent } = replica.service;
      const first = agent.stream('RunAgentInstruction', request, withKey('a'));
      const run = await replica.runner.next();
      const repeated = agent.stream('RunAgentInstruction', request, withKey('a'));
      await repeated.next();
      repeated.call.cancel();
      await statusOf(repeated.ended);
      await replica.quiet();
      await run.report('still there');
      expect(run.run.signal.aborted).toBe(false);
      first.call.cancel();
      await run.aborted;
      await replicas.untilTask(run.taskId, (task) => task.status === 'cancelled');
    });

    it('is refused for another request, which is never run', async () => {
      const [one, two] = [await replicas.start('host:1'), await replicas.start('host:2')];
      const taskId = await submitTo(one, {}, withKey('a'));
      const others = [{ instruction: 'another' }, { runningConfig: { steps: 3 } }];
      for (const request of others) {
        const calls: Promise<unknown>[] = [one, two].flatMap((replica) => [
          submitTo(replica, request, withKey('a')),
          replica.service.agent.stream(
            'RunAgentInstruction',
            { instruction: 'open the calculator', ...request },
            withKey('a'),
          ).ended,
        ]);
        for (const error of await Promise.all(calls.map(statusOf))) {
          expect(error.code).toBe(status.ALREADY_EXISTS);
          expect(error.details).toBe(
            `The idempotency key belongs to task ${taskId}, which has another request; send a new key with a new request`,
          );
          expect(errorInfoOf(error).reason).toBe('IDEMPOTENCY_KEY_REUSED');
        }
      }
      expect(one.runner.started + two.runner.started).toBe(1);
    });

    it('starts one run when many submit it at once, which can be cancelled', async () => {
      const [one, two] = [await replicas.start('host:1'), await replicas.start('host:2')];
      const ids = await Promise.all(
        Array.from({ length: 20 }, async (_, index) =>
          submitTo(index % 2 === 0 ? one : two, {}, withKey('crowd')),
        ),
      );
      const [taskId = ''] = ids;
      expect(new Set(ids).size).toBe(1);
      const owner = one.runner.started === 1 ? one : two;
      const run = await owner.runner.next();
      expect(one.runner.started + two.runner.started).toBe(1);
      owner.changes.silence();
      expect(await owner.service.agent.call('CancelTask', { taskId })).toMatchObject({
        success: true,
      });
      await run.aborted;
    });

    it('answers with its task at the limit too', async () => {
      const replica = await replicas.start('host:1', { maxTasks: 1, maxTasksPerReplica: 1 });
      const taskId = await submitTo(replica, {}, withKey('a'));
      expect(await submitTo(replica, {}, withKey('a'))).toBe(taskId);
      const error = await statusOf(submitTo(replica, {}, withKey('b')));
      expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
      (await replica.runner.next()).finish();
      await replicas.untilTask(taskId, (task) => task.status === 'finished');
      await replica.quiet();
      await submitTo(replica, {}, withKey('b'));
    });

    it('works for queued tasks', async () => {
      const replica = await replicas.start('host:1', { maxTasks: 1, whenFull: 'queue' });
      await submitTo(replica);
      const ids = await Promise.all(
        Array.from({ length: 5 }, async () => submitTo(replica, {}, withKey('a'))),
      );
      expect(new Set(ids).size).toBe(1);
      expect(await replicas.storage.countActiveTasks()).toBe(2);
    });

    it.each([
      ['', 'must be 1 to 255 visible characters, such as a UUID'],
      ['x'.repeat(256), 'must be 1 to 255 visible characters, such as a UUID'],
    ])('is refused when it is %j', async (key, problem) => {
      const replica = await replicas.start('host:1');
      const stream = replica.service.agent.stream(
        'RunAgentInstruction',
        { instruction: 'run' },
        withKey(key),
      );
      const calls: Promise<unknown>[] = [submitTo(replica, {}, withKey(key)), stream.ended];
      for (const error of await Promise.all(calls.map(statusOf))) {
        expect(error.code).toBe(status.INVALID_ARGUMENT);
        expect(error.details).toBe(`idempotency-key ${problem}`);
        expect(errorInfoOf(error).metadata).toEqual({ field: 'idempotency-key' });
      }
      expect(await replicas.storage.countActiveTasks()).toBe(0);
    });

    it('finds the task whose creation was not confirmed, and which is run', async () => {
      const replica = await replicas.start('host:1');
      replica.loseAnswers('createTask');
      const error = await statusOf(submitTo(replica, {}, withKey('a')));
      expect(error.code).toBe(status.UNAVAILABLE);
      const taskId = await submitTo(replica, {}, withKey('a'));
      const run = await replica.runner.next();
      expect(run.taskId).toBe(taskId);
      expect(await submitTo(replica, {}, withKey('a'))).toBe(taskId);
      run.finish();
      await replicas.untilTask(taskId, (task) => task.status === 'finished');
      expect(replica.runner.started).toBe(1);
    });

    it('makes the task in the end when its creation failed, and it is submitted again', async () => {
      const replica = await replicas.start('host:1', { maxTasksPerReplica: 1 });
      replica.line.intercept(async (operation) => {
        if (operation === 'createTask') {
          throw new TaskStorageError('UNAVAILABLE', 'down');
        }
      });
      const tries = Array.from({ length: 5 }, async () => submitTo(replica, {}, withKey('a')));
      for (const error of await Promise.all(tries.map(statusOf))) {
        expect(error.code).toBe(status.UNAVAILABLE);
      }
      replica.line.intercept(null);
      const taskId = await submitTo(replica, {}, withKey('a'));
      const run = await replica.runner.next();
      expect(run.taskId).toBe(taskId);
      expect(replica.runner.started).toBe(1);
    });
  },
  { maxTasks: 4 },
);
