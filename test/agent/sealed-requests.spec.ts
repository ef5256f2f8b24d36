import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { describeReplicas, search, submitTo, type Replica } from '../support/agent-replicas.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const MASK = '********';
const KEYS = ['k1', 'k2'].map(
  (id, index) => `${id}:${Buffer.alloc(32, index + 1).toString('base64')}`,
);
const [FIRST_KEY = '', SECOND_KEY = ''] = KEYS;

const REQUEST = {
  runningConfig: {
    backend: 'b',
    authorizationInfo: { orgID: 'org-secret', apiKey: 'key-secret' },
    stageModelConfig: { groundingModel: { modelName: 'm', apiKey: 'model-secret' } },
  },
};

function resumable(): ScriptedRunner {
  return new ScriptedRunner(true, true);
}

describeReplicas('A request with secrets', (replicas) => {
  async function startBoth(lostOptions: object = {}, otherOptions: object = lostOptions) {
    const lost = await replicas.start('host:1', { runner: resumable(), ...lostOptions });
    const other = await replicas.start('host:2', { runner: resumable(), ...otherOptions });
    return { lost, other };
  }

  /** Stores a task, and lets the first replica lose it. */
  async function lose(lost: Replica, request: object = REQUEST): Promise<string> {
    const taskId = await submitTo(lost, request);
    await lost.runner.next();
    await replicas.expireLease(taskId);
    return taskId;
  }

  it('is stored sealed, and reaches the runner of the replica that takes it over', async () => {
    const { lost, other } = await startBoth({ encryptionKeys: FIRST_KEY });
    const taskId = await submitTo(lost, REQUEST);
    const first = await lost.runner.next();
    const stored = await replicas.task(taskId);
    expect(stored.sealedRequest).toMatch(/^v1\.k1\./);
    expect(JSON.stringify(stored)).not.toContain('secret');
    expect(stored.requestData).toMatchObject({
      runningConfig: { authorizationInfo: { orgID: MASK, apiKey: MASK } },
    });
    const wire = JSON.stringify(await other.service.tasks.call('GetTask', { task_id: taskId }));
    expect(wire).not.toContain(stored.sealedRequest);
    expect(wire).not.toContain('secret');
    await replicas.expireLease(taskId);
    await search(other);
    const second = await other.runner.next();
    expect(second.run.request).toEqual(first.run.request);
    expect(second.run.request).toMatchObject(REQUEST);
    second.finish();
    await replicas.untilTask(taskId, (task) => task.status === 'finished');
    expect((await replicas.task(taskId)).sealedRequest).toBeNull();
  });

  it('waits sealed in the queue', async () => {
    const options = { encryptionKeys: FIRST_KEY, whenFull: 'queue', runner: null } as const;
    const full = await replicas.start('host:1', {
      ...options,
      runner: new ScriptedRunner(),
      maxTasks: 1,
    });
    await submitTo(full);
    const first = await full.runner.next();
    const taskId = await submitTo(full, REQUEST);
    expect(JSON.stringify(await replicas.task(taskId))).not.toContain('secret');
    first.finish();
    expect((await full.runner.next()).run.request).toMatchObject(REQUEST);
  });

  it('is opened with a key that only decrypts by now', async () => {
    const { lost, other } = await startBoth(
      { encryptionKeys: FIRST_KEY },
      { encryptionKeys: `${SECOND_KEY},${FIRST_KEY}` },
    );
    await lose(lost);
    await search(other);
    expect((await other.runner.next()).run.request).toMatchObject(REQUEST);
  });

  it('is refused by the queue of a service without keys, which says what to do', async () => {
    const replica = await replicas.start('host:1', { whenFull: 'queue' });
    const error = await statusOf(submitTo(replica, REQUEST));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(error.details).toBe(
      'The request carries secrets, and a queued request is stored until a replica has room for it; set TASK_STORAGE_ENCRYPTION_KEYS, so that they are stored encrypted, or send the request without them',
    );
    expect(errorInfoOf(error).reason).toBe('SECRETS_NOT_STORABLE');
    expect(await replicas.storage.countActiveTasks()).toBe(0);
    await submitTo(replica, { runningConfig: { backend: 'b' } });
    expect((await replica.runner.next()).run.request).toMatchObject({
      runningConfig: { backend: 'b' },
    });
  });

  it('is attempted once when there are no keys to store it with', async () => {
    const { lost, other } = await startBoth();
    const taskId = await submitTo(lost, REQUEST);
    expect((await lost.runner.next()).run.request).toMatchObject(REQUEST);
    expect(await replicas.task(taskId)).toMatchObject({ maxAttempts: 1, sealedRequest: null });
    await replicas.expireLease(taskId);
    await search(other);
    expect((await replicas.task(taskId)).finalState).toBe('interrupted');
    expect(other.runner.started).toBe(0);
  });

  it.each([
    ['other keys', { encryptionKeys: SECOND_KEY }, /sealed with the key "k1", which is unknown/],
    ['none', {}, /set TASK_STORAGE_ENCRYPTION_KEYS to the keys of the other replicas/],
  ])(
    'is left to replicas with its key by one that has %s, whose log says so',
    async (_what, otherOptions, message) => {
      const { lost, other } = await startBoth({ encryptionKeys: FIRST_KEY }, otherOptions);
      const taskId = await lose(lost);
      await search(other);
      const logged = other.service.logger.messages('error').join('\n');
      expect(logged).toMatch(new RegExp(`Task ${taskId} cannot be run here.*${message.source}`));
      expect(logged).not.toContain('secret');
      expect(other.runner.started).toBe(0);
      await replicas.expireLease(taskId);
      const third = await replicas.start('host:3', {
        runner: resumable(),
        encryptionKeys: FIRST_KEY,
      });
      await search(third);
      expect((await third.runner.next()).run.attempt).toBe(3);
    },
  );

  it('is ended when what is stored of it is no request', async () => {
    const replica = await replicas.start('host:1', { runner: resumable() });
    await replicas.createLost(
      { taskId: 'broken', requestData: { instruction: 7 }, maxAttempts: 3 },
      'host:9#boot',
    );
    await search(replica);
    const task = await replicas.untilTask('broken', (found) => found.status === 'error');
    expect(task.error).toBe('The stored request of the task cannot be read.');
  });
});
