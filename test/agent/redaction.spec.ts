import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { describeReplicas, search, submitTo } from '../support/agent-replicas.js';
import { ScriptedRunner } from '../support/scripted-runner.js';

const MASK = '********';
const SECRET = 'secret-of-the-app';
const TOKEN = 'token-of-the-sandbox';
const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64')}`;

const OPTIONS = {
  redact: [
    'requestData.sandbox.description',
    'sandboxInfo.*.token',
    'conversationHistory.*.*.pass',
  ],
};
const REQUEST = { sandbox: { id: 'box', description: SECRET } };

describeReplicas('A task with redacted fields', (replicas) => {
  it('tells its runner everything, and the storage nothing', async () => {
    const replica = await replicas.start('host:1', OPTIONS);
    const taskId = await submitTo(replica, REQUEST);
    const run = await replica.runner.next();
    expect(run.run.request).toMatchObject(REQUEST);
    await run.report(`stage ${SECRET}`, `message ${SECRET}`);
    await run.run.saveProgress({ sandboxInfo: { id: 'box', access: { token: TOKEN } } });
    await run.report('step', `with ${TOKEN}`);
    run.finish({
      result: `${SECRET} and ${TOKEN}`,
      finalState: SECRET,
      conversationHistory: { tool: [{ pass: 'pass-word', text: `${TOKEN} pass-word` }] },
    });
    const task = await replicas.untilTask(taskId, ({ status: is }) => is === 'finished');
    expect(task).toMatchObject({
      requestData: { sandbox: { id: 'box', description: MASK } },
      sandboxInfo: { id: 'box', access: { token: MASK } },
      conversationHistory: { tool: [{ pass: MASK, text: `${MASK} pass-word` }] },
      finalState: MASK,
      result: `${MASK} and ${MASK}`,
    });
    const events = JSON.stringify(await replicas.storage.listEvents(taskId));
    expect(events).toContain(`with ${MASK}`);
    for (const secret of [SECRET, TOKEN]) {
      expect(JSON.stringify(task) + events).not.toContain(secret);
    }
  });

  it('masks a conversation in its place only', async () => {
    const replica = await replicas.start('host:1', { redact: ['conversationHistory.*.*.text'] });
    const taskId = await submitTo(replica);
    (await replica.runner.next()).finish({
      result: 'the assistant is done',
      conversationHistory: { tool: [{ role: 'assistant', text: 'assistant' }] },
    });
    const task = await replicas.untilTask(taskId, ({ status: is }) => is === 'finished');
    expect(task).toMatchObject({
      result: 'the assistant is done',
      conversationHistory: { tool: [{ role: 'assistant', text: MASK }] },
    });
  });

  it('tells nothing of them in the sandbox that is stored beside the request', async () => {
    const sandbox = { id: SECRET, os: 'LINUX', shapeName: 'shape-of-the-app' };
    const rules = [
      { redact: ['requestData.sandbox.id'], stored: { id: MASK, shape_name: 'shape-of-the-app' } },
      { redact: ['requestData.*.shapeName'], stored: { id: SECRET, os: 2, shape_name: MASK } },
      { redact: ['requestData.sandbox'], stored: { id: MASK, os: MASK, shape_name: MASK } },
    ];
    for (const [index, { redact, stored }] of rules.entries()) {
      const replica = await replicas.start(`host:${index}`, { redact });
      const taskId = await submitTo(replica, { sandbox });
      (await replica.runner.next()).finish();
      expect((await replicas.storage.getTask(taskId))?.sandboxInfo).toMatchObject(stored);
    }
  });

  it('is continued in its sandbox, which nobody knows any more', async () => {
    const replica = await replicas.start('host:1', { redact: ['sandboxInfo.id'] });
    const sandbox = { id: 'box-1' };
    const previousTaskId = await submitTo(replica, { sandbox });
    (await replica.runner.next()).finish();
    await replicas.untilTask(previousTaskId, ({ status: is }) => is === 'finished');
    await submitTo(replica, { sandbox, previousTaskId });
    const { run } = await replica.runner.next();
    expect(run.previous?.sandboxInfo).toMatchObject({ id: MASK });
  });

  it('tells nothing when its runner fails', async () => {
    const replica = await replicas.start('host:1', OPTIONS);
    const taskId = await submitTo(replica, REQUEST);
    (await replica.runner.next()).fail(new Error(`refused ${SECRET}`));
    const task = await replicas.untilTask(taskId, ({ status: is }) => is === 'error');
    expect(task.error).toBe(`refused ${MASK}`);
  });

  it('is sealed for a replica that takes it over', async () => {
    const options = { ...OPTIONS, encryptionKeys: KEYS };
    const resumable = () => new ScriptedRunner(true, true);
    const lost = await replicas.start('host:1', { ...options, runner: resumable() });
    const other = await replicas.start('host:2', { ...options, runner: resumable() });
    const taskId = await submitTo(lost, REQUEST);
    await lost.runner.next();
    await replicas.expireLease(taskId);
    await search(other);
    const second = await other.runner.next();
    expect(second.run.request).toMatchObject(REQUEST);
    second.finish();
    await replicas.untilTask(taskId, ({ status: is }) => is === 'finished');
  });

  it('is refused by a queue that cannot seal it', async () => {
    const replica = await replicas.start('host:1', { ...OPTIONS, whenFull: 'queue' });
    const error = await statusOf(submitTo(replica, REQUEST));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
  });

  it('is repeated under its idempotency key', async () => {
    const replica = await replicas.start('host:1', OPTIONS);
    const headers = { 'idempotency-key': 'key' };
    const taskId = await submitTo(replica, REQUEST, headers);
    expect(await submitTo(replica, REQUEST, headers)).toBe(taskId);
    (await replica.runner.next()).finish();
  });

  it('is repeated under its idempotency key after a rule was added', async () => {
    const before = await replicas.start('host:1');
    const after = await replicas.start('host:2', OPTIONS);
    const headers = { 'idempotency-key': 'key' };
    const taskId = await submitTo(before, REQUEST, headers);
    expect(await submitTo(after, REQUEST, headers)).toBe(taskId);
    const other = { sandbox: { ...REQUEST.sandbox, id: 'other' } };
    const error = await statusOf(submitTo(after, other, headers));
    expect(errorInfoOf(error).reason).toBe('IDEMPOTENCY_KEY_REUSED');
    (await before.runner.next()).finish();
  });
});
