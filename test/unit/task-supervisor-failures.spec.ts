import { beforeEach, describe, expect, it } from '@jest/globals';
import { InvalidTaskError, OutcomeUnknownError, TaskStorageError } from '../../src/task/errors.js';
import { REQUEST } from '../support/agent-parts.js';
import { LEASE_MS, SupervisedAgent } from '../support/supervised-agent.js';

const AWAY = new TaskStorageError('UNAVAILABLE', 'The storage is away');
const CONFUSED = new TaskStorageError('INTERNAL', 'The storage is confused');

describe('A supervisor whose storage is slow or refuses', () => {
  let agent: SupervisedAgent;

  beforeEach(() => {
    agent = new SupervisedAgent();
  });

  it('ends a task as an error when a stage is refused for good', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    agent.refuse('appendEvents', 1, new InvalidTaskError('events', 'is refused'));
    void run.report('one');
    await run.aborted;
    expect((await agent.eventsOf(taskId)).at(-1)).toMatchObject({
      stage: 'error',
      message: 'The progress of the task could not be stored.',
    });
  });

  it('ends a task as an error when its end is refused', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const run = await agent.runner.next();
    agent.refuse('updateTask', 1, new InvalidTaskError('result', 'is refused'));
    run.finish({ result: 'too large' });
    expect((await agent.eventsOf(taskId)).at(-1)).toMatchObject({
      stage: 'error',
      message: 'The end of the task could not be stored.',
    });
  });

  it('ends a task as an error, and never runs it, when its start is refused', async () => {
    agent.refuse('updateTask', 1, CONFUSED);
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    expect((await agent.eventsOf(taskId)).at(-1)).toMatchObject({
      stage: 'error',
      message: 'The start of the task could not be stored.',
    });
    expect(agent.runner.started).toBe(0);
  });

  it('ends a task in the end, however often the storage refuses to', async () => {
    agent.refuse('updateTask', 10, CONFUSED);
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await agent.clock.advance(60_000);
    expect((await agent.stagesOf(taskId)).at(-1)).toBe('error');
    expect(await agent.storage.countActiveTasks()).toBe(0);
    expect(await agent.operationsWithin(60_000)).toEqual([]);
  });

  it('does not know whether a task is cancelled whose end is not stored in time', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await agent.runner.next();
    agent.refuse('updateTask', 8, AWAY);
    const cancellation = agent.supervisor.cancel(agent.scope, taskId);
    const [told] = await Promise.allSettled([cancellation, agent.clock.advance(6_000)]);
    expect(told).toMatchObject({ status: 'rejected', reason: expect.any(OutcomeUnknownError) });
    await agent.clock.advance(60_000);
    expect((await agent.stagesOf(taskId)).at(-1)).toBe('cancelled');
  });

  it('does not say that nothing was changed when only the storage of the end was heard of', async () => {
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await agent.runner.next();
    const end = agent.holdBack('updateTask');
    const cancellation = agent.supervisor.cancel(agent.scope, taskId);
    await end.reached;
    agent.refuse('updateTask', 1, AWAY);
    end.letGo();
    await expect(cancellation).rejects.toThrow(OutcomeUnknownError);
    expect((await agent.storage.getTask(taskId))?.status).toBe('cancelled');
  });

  it('gives up a task that the storage refuses to end when the service stops', async () => {
    agent.refuse('updateTask', Infinity, CONFUSED);
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    const stopped = agent.supervisor.stop(0);
    await agent.clock.advance(10_000);
    await stopped;
    await agent.clock.advance(10_000);
    expect(agent.logger.messages('error').join()).toContain(`Task ${taskId} is left as it is`);
    expect(await agent.operationsWithin(60_000)).toEqual([]);
  });

  it('never starts the runner of a task whose creation took as long as its lease', async () => {
    const create = agent.holdBack('createTask');
    const submission = agent.supervisor.submit(agent.scope, REQUEST);
    await create.reached;
    await agent.clock.advance(LEASE_MS);
    create.letGo();
    const { taskId } = await submission;
    await agent.supervisor.stop(0);
    expect(agent.runner.started).toBe(0);
    expect((await agent.storage.getTask(taskId))?.status).toBe('pending');
    expect(agent.logger.messages('warn').join()).toContain(
      'its lease could not be renewed in time',
    );
  });

  it('asks the clock before it starts a runner, because timers may be late', async () => {
    const start = agent.holdBack('updateTask');
    // From here on as if the machine slept: time passes, and no timer fires.
    agent.clock.after = () => () => undefined;
    const { taskId } = await agent.supervisor.submit(agent.scope, REQUEST);
    await start.reached;
    await agent.keeper.stop();
    await agent.clock.advance(LEASE_MS);
    start.letGo();
    await agent.supervisor.stop(0);
    expect(agent.runner.started).toBe(0);
    expect((await agent.storage.getTask(taskId))?.status).toBe('running');
  });

  it('interrupts a task that was being created when the service was stopped', async () => {
    const create = agent.holdBack('createTask');
    const submission = agent.supervisor.submit(agent.scope, REQUEST);
    await create.reached;
    const stopped = agent.supervisor.stop(10);
    await agent.clock.advance(10);
    create.letGo();
    await stopped;
    const { taskId } = await submission;
    expect(await agent.storage.getTask(taskId)).toMatchObject({ finalState: 'interrupted' });
    expect(agent.runner.started).toBe(0);
    await expect(agent.supervisor.submit(agent.scope, REQUEST)).rejects.toMatchObject({
      code: 'STOPPING',
    });
  });
});
