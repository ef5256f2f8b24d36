import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TaskStorageError, type TaskStorageErrorCode } from '../../src/task/errors.js';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { eventually } from '../support/eventually.js';
import { createGate } from '../support/gate.js';
import { interceptStorage, type InterceptedStorage } from '../support/intercepted-storage.js';
import { forgetfulStorage, type ForgetfulStorage } from '../support/lost-answers.js';
import { ManualClock } from '../support/manual-clock.js';
import { passTime } from '../support/pass-time.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

/** Two thirds of the lease: after so long without a renewal it counts as unsafe. */
const SAFE_MS = 20_000;
const FIRST_RETRY_MS = 100;
const DRIVER_WORDS = 'connect ECONNREFUSED 10.0.0.7:5432';

describe('A service whose storage fails', () => {
  let clock: ManualClock;
  let faulty: InterceptedStorage;
  let runner: ScriptedRunner;
  let service: AgentService;

  beforeEach(async () => {
    clock = new ManualClock();
    faulty = interceptStorage(createMemoryTaskStorage());
    runner = new ScriptedRunner();
    service = await startAgentService(faulty.storage, runner, {
      clock,
      allowSetGlobalConfig: true,
    });
  });

  afterEach(async () => {
    faulty.intercept(null);
    await passTime(clock, service.stop());
    await service.close();
  });

  function fail(code: TaskStorageErrorCode, operations: readonly string[] | null = null): void {
    faulty.intercept(async (operation) => {
      if (operations === null || operations.includes(operation)) {
        throw new TaskStorageError(code, `The storage says ${DRIVER_WORDS}`, {
          cause: new Error(DRIVER_WORDS),
        });
      }
    });
  }

  it('answers UNAVAILABLE and never that something is not there', async () => {
    fail('UNAVAILABLE');
    const instruction = 'open the calculator';
    const calls = [
      service.agent.call('RunAgentInstructionAsync', { instruction }),
      service.agent.stream('RunAgentInstruction', { instruction }).ended,
      service.agent.call('QueryTaskStatus', { taskId: 'task' }),
      service.agent.call('CancelTask', { taskId: 'task' }),
      service.agent.call('GetCommonConfig', { id: 'task' }),
      service.tasks.call('GetTask', { task_id: 'task' }),
      service.tasks.call('ListTasks'),
      service.tasks.call('DeleteTask', { task_id: 'task' }),
      service.tasks.call('CountActiveTasks'),
      service.tasks.call('CleanupOldTasks', { older_than_days: 1 }),
    ];
    for (const call of calls) {
      const error = await statusOf(call);
      expect(error.code).toBe(status.UNAVAILABLE);
      expect(error.details).toBe('The task storage is unavailable; try again');
      expect(errorInfoOf(error).reason).toBe('UNAVAILABLE');
    }
    expect(runner.started).toBe(0);
  });

  it('admits nothing when the creation of a task fails, and leaves nothing behind', async () => {
    fail('UNAVAILABLE', ['createTask']);
    const error = await statusOf(
      service.agent.call('RunAgentInstructionAsync', { instruction: 'run' }),
    );
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(runner.started).toBe(0);
  });

  it('tells the caller nothing of what is inside, and the log everything', async () => {
    const failures = [
      ['INTERNAL', status.INTERNAL, 'Internal error'],
      ['MISCONFIGURED', status.INTERNAL, 'Internal error'],
      ['CORRUPT', status.DATA_LOSS, 'What is stored cannot be read'],
    ] as const;
    for (const [code, expected, details] of failures) {
      fail(code);
      const unary = service.tasks.call('GetTask', { task_id: 'task' });
      const streaming = service.tasks.stream('WatchTask', { task_id: 'task' }).ended;
      for (const call of [unary, streaming]) {
        const error = await statusOf(call);
        expect(error.code).toBe(expected);
        expect(error.details).toBe(details);
        expect(errorInfoOf(error).reason).toBe(code);
      }
    }
    const logged = service.logger.messages('error');
    expect(logged).toHaveLength(6);
    expect(logged[0]).toContain(`caused by Error: ${DRIVER_WORDS}`);
  });

  it('bears with a storage that is away for a while, and then loses no stage', async () => {
    const stream = service.agent.stream('RunAgentInstruction', { instruction: 'run' });
    const run = await runner.next();
    await run.report('one');
    fail('UNAVAILABLE');
    await run.report('two');
    await run.report('three');
    run.finish({ result: 'done' });
    await clock.advance(20_000);
    expect(stream.messages.at(-1)?.stage).not.toBe('finished');
    faulty.intercept(null);
    await clock.advance(5_000);
    const messages = await stream.ended;
    expect(messages.map(({ stage }) => stage)).toEqual([
      'starting',
      'one',
      'two',
      'three',
      'finished',
    ]);
    expect(run.run.signal.aborted).toBe(false);
  });

  it('ends a stream when the storage stays away, and lets its task go on', async () => {
    const stream = service.agent.stream('RunAgentInstruction', { instruction: 'run' });
    const run = await runner.next();
    await stream.next();
    fail('UNAVAILABLE', ['listEvents']);
    await run.report('one');
    await clock.advance(60_000);
    const error = await statusOf(stream.ended);
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(run.run.signal.aborted).toBe(false);
    faulty.intercept(null);
    run.finish();
    const { taskId } = run;
    const messages = await service.agent.stream('GetAgentTaskStream', { taskId }).ended;
    expect(messages.at(-1)?.taskStream.stage).toBe('finished');
  });

  it('stops a runner before somebody else may run its task, and says so', async () => {
    const stream = service.agent.stream('RunAgentInstruction', { instruction: 'run' });
    const run = await runner.next();
    await stream.next();
    fail('UNAVAILABLE', ['renew']);
    await clock.advance(SAFE_MS - 1);
    expect(run.run.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(run.run.signal.aborted).toBe(true);
    await clock.advance(1_000);
    expect(service.logger.messages('warn').join('\n')).toContain(
      `Task ${run.taskId} was stopped here, because its lease could not be renewed in time`,
    );
    expect((await faulty.storage.getTask(run.taskId))?.status).toBe('running');
    stream.call.cancel();
  });

  it('stops a runner whose task is cancelled while the storage is away', async () => {
    const stream = service.agent.stream('RunAgentInstruction', { instruction: 'run' });
    const run = await runner.next();
    await stream.next();
    fail('UNAVAILABLE');
    const cancellation = statusOf(service.agent.call('CancelTask', { taskId: run.taskId }));
    await run.aborted;
    await clock.advance(10_000);
    // Its end is stored when the storage is back.
    expect(errorInfoOf(await cancellation).reason).toBe('OUTCOME_UNKNOWN');
    faulty.intercept(null);
    await clock.advance(5_000);
    expect((await stream.ended).at(-1)).toMatchObject({ stage: 'cancelled' });
  });

  it('does not say that there is no task while it is not known of an earlier submission', async () => {
    const doubt = createGate();
    let reads = 0;
    faulty.intercept(async (operation) => {
      if (operation === 'createTask') {
        throw new TaskStorageError('UNAVAILABLE', DRIVER_WORDS);
      }
      reads += operation === 'getTask' ? 1 : 0;
      if (operation === 'getTask' && reads === 2) {
        // What became of the creation is asked for.
        await doubt.opened;
      }
    });
    const submit = async () =>
      statusOf(
        service.agent.call(
          'RunAgentInstructionAsync',
          { instruction: 'run' },
          { 'idempotency-key': 'key' },
        ),
      );
    expect((await submit()).code).toBe(status.UNAVAILABLE);
    const repeated = submit();
    await eventually(
      () => reads,
      (count) => count === 3,
    );
    await clock.advance(5_000);
    expect(errorInfoOf(await repeated).reason).toBe('OUTCOME_UNKNOWN');
    doubt.open();
  });
});

describe('A service whose storage writes and does not answer', () => {
  let clock: ManualClock;
  let forgetful: ForgetfulStorage;
  let runner: ScriptedRunner;
  let service: AgentService;

  beforeEach(async () => {
    clock = new ManualClock();
    forgetful = forgetfulStorage(createMemoryTaskStorage());
    runner = new ScriptedRunner();
    service = await startAgentService(forgetful.storage, runner, { clock });
  });

  afterEach(async () => {
    await passTime(clock, service.stop());
    await service.close();
  });

  it('leaves no task behind whose creation was not confirmed', async () => {
    forgetful.loseAnswers('createTask');
    const call = service.agent.call('RunAgentInstructionAsync', { instruction: 'run' });
    expect((await statusOf(call)).code).toBe(status.UNAVAILABLE);
    await clock.advance(1_000);
    expect(await forgetful.storage.countActiveTasks()).toBe(0);
    expect(runner.started).toBe(0);
  });

  it('writes nothing twice', async () => {
    forgetful.loseAnswers('updateTask');
    const stream = service.agent.stream('RunAgentInstruction', { instruction: 'run' });
    await eventually(
      () => clock.delays,
      (delays) => delays.includes(FIRST_RETRY_MS),
    );
    await clock.advance(1_000);
    const run = await runner.next();
    forgetful.loseAnswers('appendEvents');
    await run.report('one');
    await clock.advance(1_000);
    forgetful.loseAnswers('updateTask');
    await run.run.saveProgress({ executionStatistics: { steps: 1 } });
    await run.report('two');
    await clock.advance(1_000);
    forgetful.loseAnswers('updateTask');
    run.finish({ result: 'done' });
    await clock.advance(1_000);
    const messages = await stream.ended;
    expect(messages.map(({ stage }) => stage)).toEqual(['starting', 'one', 'two', 'finished']);
    expect(await forgetful.storage.getTask(run.taskId)).toMatchObject({
      status: 'finished',
      result: 'done',
      executionStatistics: { steps: 1 },
    });
  });
});
