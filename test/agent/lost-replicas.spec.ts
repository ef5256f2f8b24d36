import { expect, it } from '@jest/globals';
import { TaskStorageError } from '../../src/task/errors.js';
import { describeReplicas, search, submitTo } from '../support/agent-replicas.js';

describeReplicas('Tasks of a lost replica', (replicas) => {
  it('are ended as interrupted when their lease has ended, naming the replica', async () => {
    const lost = await replicas.start('host:1');
    const other = await replicas.start('host:2');
    const taskId = await submitTo(lost);
    await (await lost.runner.next()).report('one');
    await search(other);
    expect((await replicas.task(taskId)).status).toBe('running');
    await replicas.expireLease(taskId);
    await search(other);
    expect(await replicas.task(taskId)).toMatchObject({
      status: 'error',
      finalState: 'interrupted',
      error: 'The task was interrupted because the replica host:1 that ran it was lost.',
      leaseOwner: null,
    });
    const stream = other.service.agent.stream('GetAgentTaskStream', { taskId });
    expect((await stream.ended).map(({ taskStream }) => taskStream.stage)).toEqual([
      'starting',
      'one',
      'error',
    ]);
    expect(other.service.logger.messages('warn')).toContain(
      `Task ${taskId}: The task was interrupted because the replica host:1 that ran it was lost.`,
    );
    expect(other.runner.started).toBe(0);
  });

  it('are ended by the same replica after a restart, which has another lease', async () => {
    const first = await replicas.start('host:1');
    const taskId = await submitTo(first);
    await first.runner.next();
    await replicas.expireLease(taskId);
    const restarted = await replicas.start('host:1');
    await search(restarted);
    expect((await replicas.task(taskId)).error).toContain(
      'the replica host:1 that ran it was lost',
    );
  });

  it('are ended whether or not they were started, by a replica that runs no tasks too', async () => {
    const owner = 'host:9#boot';
    for (const status of ['pending', 'running'] as const) {
      await replicas.createLost({ taskId: status, status }, owner);
    }
    const idle = await replicas.start('idle', { runner: null });
    await search(idle);
    for (const taskId of ['pending', 'running']) {
      expect(await replicas.task(taskId)).toMatchObject({
        finalState: 'interrupted',
        error: expect.stringContaining('the replica host:9 that'),
      });
    }
  });

  it('are all ended when there are more than are claimed at once', async () => {
    const ids = Array.from({ length: 250 }, (_, index) => `many-${index}`);
    await Promise.all(ids.map(async (taskId) => replicas.createLost({ taskId }, 'host:1#boot')));
    const other = await replicas.start('host:2');
    await search(other);
    expect(await replicas.storage.countActiveTasks()).toBe(0);
  });

  it('are ended each once, however many replicas look for them', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `raced-${index}`);
    const others = [await replicas.start('host:2'), await replicas.start('host:3')];
    for (const taskId of ids) {
      await replicas.createLost({ taskId }, 'host:1#boot');
    }
    await Promise.all(others.map(async (other) => search(other)));
    for (const taskId of ids) {
      expect(await replicas.stagesOf(taskId)).toEqual(['error']);
    }
    const warnings = others.flatMap(({ service }) => service.logger.messages('warn'));
    expect(warnings).toHaveLength(ids.length);
  });

  it('are ended later when the storage does not answer at first', async () => {
    await replicas.createLost({ taskId: 'later' }, 'host:1#boot');
    const other = await replicas.start('host:2');
    await replicas.createLost({ taskId: 'later-2' }, 'host:1#boot');
    other.line.intercept(async () => {
      throw new TaskStorageError('UNAVAILABLE', 'down');
    });
    await search(other);
    expect((await replicas.task('later-2')).status).toBe('pending');
    other.line.intercept(null);
    await search(other);
    expect((await replicas.task('later-2')).finalState).toBe('interrupted');
  });

  it('are not overwritten when somebody else is faster', async () => {
    const other = await replicas.start('host:2');
    await replicas.createLost({ taskId: 'raced' }, 'host:1#boot');
    other.line.intercept(async (operation) => {
      if (operation === 'updateTask') {
        other.line.intercept(null);
        await replicas.storage.updateTask('raced', { status: 'cancelled' });
      }
    });
    await search(other);
    expect((await replicas.task('raced')).status).toBe('cancelled');
    expect(other.service.logger.messages('warn')).toEqual([]);
  });

  it('are ended by a replica that has no room to run another', async () => {
    const full = await replicas.start('host:2', { maxTasksPerReplica: 1 });
    await submitTo(full);
    await full.runner.next();
    await replicas.createLost({ taskId: 'lost' }, 'host:1#boot');
    await search(full);
    expect((await replicas.task('lost')).finalState).toBe('interrupted');
  });
});

describeReplicas('Running tasks that nobody holds', (replicas) => {
  async function storeOld(taskId: string, minutes: number): Promise<void> {
    await replicas.storage.createTask({ taskId, query: 'q', maxSteps: 1, status: 'running' });
    await replicas.backend.makeOlder(taskId, minutes);
  }

  it('are left alone, however old they are', async () => {
    await storeOld('of-the-original', 100_000);
    const before = await replicas.task('of-the-original');
    const replica = await replicas.start('host:1');
    await search(replica);
    expect(await replicas.task('of-the-original')).toEqual(before);
  });

  it('are ended when they are older than the operator allows', async () => {
    await storeOld('young', 29);
    await storeOld('old', 31);
    const replica = await replicas.start('host:1', { staleRunningMinutes: 30 });
    await search(replica);
    expect((await replicas.task('young')).status).toBe('running');
    expect(await replicas.task('old')).toMatchObject({
      status: 'error',
      finalState: 'interrupted',
      error: 'The task was interrupted because nobody has updated it for 30 minutes.',
    });
  });
});
