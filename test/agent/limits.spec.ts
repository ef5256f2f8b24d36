import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { describeReplicas, search, submitTo } from '../support/agent-replicas.js';
import { createGate } from '../support/gate.js';

describeReplicas('The limits', (replicas) => {
  it('of a replica leaves its tasks to others, and says so', async () => {
    const one = await replicas.start('host:1', { maxTasksPerReplica: 1 });
    const two = await replicas.start('host:2', { maxTasksPerReplica: 1 });
    const first = await submitTo(one);
    const error = await statusOf(submitTo(one));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details).toBe(
      'This replica has reached its limit of 1 tasks (TASK_MAX_TASKS_PER_REPLICA); try again when one has ended, or another replica',
    );
    expect(errorInfoOf(error).reason).toBe('REPLICA_FULL');
    await submitTo(two);
    (await one.runner.next()).finish();
    await replicas.untilTask(first, (task) => task.status === 'finished');
    await one.quiet();
    await submitTo(one);
  });

  it('of all replicas holds over all of them', async () => {
    const one = await replicas.start('host:1', { maxTasks: 3 });
    const two = await replicas.start('host:2', { maxTasks: 3 });
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, async (_, index) => submitTo(index % 2 === 0 ? one : two)),
    );
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(3);
    const error = await statusOf(submitTo(two));
    expect(error.details).toBe(
      'The service has reached its limit of 3 active tasks (TASK_MAX_TASKS); try again when one has ended',
    );
    expect(errorInfoOf(error).reason).toBe('LIMIT_REACHED');
  });

  it('of a tenant is named', async () => {
    const replica = await replicas.start('host:1', { maxTasks: 3, maxTasksPerTenant: 1 });
    const other = { taskId: 'other', tenantId: 'b', query: 'q', maxSteps: 1 };
    await replicas.storage.createTask(other);
    await submitTo(replica);
    const error = await statusOf(submitTo(replica));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.details).toBe(
      'The tenant has reached its limit of 1 active tasks (TASK_MAX_TASKS_PER_TENANT); try again when one has ended',
    );
  });

  it('of a replica refuses nothing while it looks for lost tasks', async () => {
    const replica = await replicas.start('host:1', { maxTasksPerReplica: 1 });
    const searching = createGate();
    const gate = createGate();
    replica.line.intercept(async (operation) => {
      if (operation === 'claimExpired') {
        searching.open();
        await gate.opened;
      }
    });
    const searched = replica.clock.advance(10_000);
    await searching.opened;
    const submitted = submitTo(replica);
    await searched;
    gate.open();
    await submitted;
    await replica.runner.next();
  });

  it('of a replica starts a queued task that came while it looked for lost tasks', async () => {
    const replica = await replicas.start('host:1', { maxTasksPerReplica: 1, whenFull: 'queue' });
    const searching = createGate();
    const gate = createGate();
    replica.line.intercept(async (operation) => {
      if (operation === 'claimExpired') {
        searching.open();
        await gate.opened;
      }
    });
    await replica.clock.advance(10_000);
    await searching.opened;
    const taskId = await submitTo(replica);
    // Its hint comes to nothing, because the only place is set aside.
    await replica.clock.advance(0);
    expect((await replicas.task(taskId)).status).toBe('pending');
    gate.open();
    expect((await replica.runner.next()).taskId).toBe(taskId);
  });

  it('of a replica holds for lost tasks that it takes up again', async () => {
    const requestData = { instruction: 'q' };
    for (const taskId of ['one', 'two']) {
      await replicas.storage.createTask(
        { taskId, query: 'q', maxSteps: 1, requestData },
        { queue: true },
      );
    }
    await replicas.storage.leases.claimQueued({ owner: 'lost#boot', leaseMs: 1, limit: 2 });
    await replicas.expireLease('one');
    await replicas.expireLease('two');
    const replica = await replicas.start('host:1', { maxTasksPerReplica: 1, whenFull: 'queue' });
    await search(replica);
    const run = await replica.runner.next();
    expect(replica.runner.started).toBe(1);
    run.finish();
    await replicas.untilTask(run.taskId, (task) => task.status === 'finished');
    await search(replica);
    expect((await replica.runner.next()).taskId).toBe(run.taskId === 'one' ? 'two' : 'one');
  });
});
