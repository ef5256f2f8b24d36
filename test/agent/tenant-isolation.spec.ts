import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { RPC_ACCESS } from '../../src/agent/auth/rpc-access.js';
import { statusOf } from '../support/agent-clients.js';
import { startAgentService } from '../support/agent-service.js';
import { RawClient, type RawOutcome } from '../support/raw-calls.js';
import { AS, describeSecuredService, type SecuredSuite } from '../support/secured-suite.js';

const ACME = AS['acme-admin'];
const RIVAL = AS['rival-admin'];

/** As long as the id of a task, and the id of none. */
const UNKNOWN = 'ffffffff-ffff-4fff-bfff-ffffffffffff';

/** Each RPC that names a task, and how it does. */
const NAMING: Readonly<Record<string, (taskId: string) => object>> = {
  '/lybic.agent.Agent/RunAgentInstruction': (previousTaskId) => ({
    instruction: 'go on',
    previousTaskId,
  }),
  '/lybic.agent.Agent/RunAgentInstructionAsync': (previousTaskId) => ({
    instruction: 'go on',
    previousTaskId,
  }),
  '/lybic.agent.Agent/GetAgentTaskStream': (taskId) => ({ taskId }),
  '/lybic.agent.Agent/QueryTaskStatus': (taskId) => ({ taskId }),
  '/lybic.agent.Agent/CancelTask': (taskId) => ({ taskId }),
  '/lybic.agent.Agent/GetCommonConfig': (id) => ({ id }),
  '/nestjs_task_storage.v1.TaskService/GetTask': (task_id) => ({ task_id }),
  '/nestjs_task_storage.v1.TaskService/WatchTask': (task_id) => ({ task_id }),
  '/nestjs_task_storage.v1.TaskService/DeleteTask': (task_id) => ({ task_id }),
};

/** Each RPC that names none: with what it tells of other tenants' tasks tested by itself, or nothing. */
const NAMING_NONE = [
  '/lybic.agent.Agent/GetAgentInfo',
  '/lybic.agent.Agent/GetGlobalCommonConfig',
  '/lybic.agent.Agent/SetGlobalCommonConfig',
  '/lybic.agent.Agent/SetGlobalCommonLLMConfig',
  '/lybic.agent.Agent/SetGlobalGroundingLLMConfig',
  '/lybic.agent.Agent/SetGlobalEmbeddingLLMConfig',
  '/nestjs_task_storage.v1.TaskService/ListTasks',
  '/nestjs_task_storage.v1.TaskService/CountActiveTasks',
  '/nestjs_task_storage.v1.TaskService/CleanupOldTasks',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/List',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
];

const AGENT = '/lybic.agent.Agent';

/** Each RPC of the services that serve tasks. */
const OF_TASKS = [...RPC_ACCESS.keys()].filter(
  (path) => path.startsWith(AGENT) || path.startsWith('/nestjs_task_storage.v1.'),
);

/** Both the text and the bytes of the id are exchanged. */
function withoutId(outcome: RawOutcome, taskId: string): string {
  return JSON.stringify(outcome)
    .replaceAll(taskId, '<id>')
    .replaceAll(Buffer.from(taskId).toString('hex'), '<id>');
}

/** Calls as the rival, and tells what came back and what the storage was asked for. */
async function callAsRival(suite: SecuredSuite, path: string, taskId: string) {
  let outcome = '';
  const operations = await suite.operationsOf(async () => {
    const request = NAMING[path]?.(taskId) ?? {};
    outcome = withoutId(await suite.raw.call(path, request, RIVAL), taskId);
  });
  return { outcome, operations };
}

describeSecuredService('Tenants', (suite) => {
  it('are tested with every RPC', () => {
    expect([...Object.keys(NAMING), ...NAMING_NONE].toSorted()).toEqual(
      [...RPC_ACCESS.keys()].toSorted(),
    );
  });

  it.each(Object.keys(NAMING))('cannot tell the task of another from none, by %s', async (path) => {
    const running = await suite().submit(ACME, { runningConfig: { steps: 3 } });
    const ended = await suite().runToEnd(ACME);
    const unknown = await callAsRival(suite(), path, UNKNOWN);
    expect(unknown.operations).not.toEqual([]);
    for (const taskId of [running.taskId, ended]) {
      const before = await suite().storage.getTask(taskId);
      expect(await callAsRival(suite(), path, taskId)).toEqual(unknown);
      expect(await suite().storage.getTask(taskId)).toEqual(before);
    }
    expect(running.run.signal.aborted).toBe(false);
    for (const taskId of [running.taskId, ended]) {
      const own = await suite().raw.call(path, NAMING[path]?.(taskId), ACME);
      expect(withoutId(own, taskId)).not.toBe(unknown.outcome);
    }
  });

  it('do not appear in the lists and counts of another', async () => {
    const { tasks } = suite().service;
    const ofRival = await suite().submit(RIVAL);
    await suite().submit(ACME);
    const list = await tasks.call('ListTasks', {}, RIVAL);
    expect(list.tasks.map(({ task_id }) => task_id)).toContain(ofRival.taskId);
    expect(new Set(list.tasks.map((task) => Reflect.get(task, 'tenant_id')))).toEqual(
      new Set(['rival']),
    );
    const ofAll = await tasks.call('ListTasks', {}, AS['all-admin']);
    expect(new Set(ofAll.tasks.map((task) => Reflect.get(task, 'tenant_id')))).toEqual(
      new Set(['acme', 'rival']),
    );
    const counted = await tasks.call('CountActiveTasks', {}, RIVAL);
    expect(counted).toEqual({
      active_task_count: await suite().storage.forTenant('rival').countActiveTasks(),
    });
    ofRival.finish();
  });

  it('keep their ended tasks when another cleans up', async () => {
    const { tasks } = suite().service;
    const ofAcme = await suite().runToEnd(ACME);
    const ofRival = await suite().runToEnd(RIVAL);
    await tasks.call('CleanupOldTasks', { older_than_days: 0 }, RIVAL);
    expect(await suite().storage.getTask(ofRival)).toBeNull();
    expect(await suite().storage.getTask(ofAcme)).not.toBeNull();
  });

  it('cannot go on in the list of another with its page token', async () => {
    const { tasks } = suite().service;
    await suite().runToEnd(ACME);
    await suite().runToEnd(ACME);
    const page = await tasks.call('ListTasks', { page_size: 1 }, ACME);
    const request = { page_size: 1, page_token: page.next_page_token };
    expect(await statusOf(tasks.call('ListTasks', request, RIVAL))).toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  it('may use the same idempotency key, each for a task of its own', async () => {
    const key = { 'idempotency-key': 'the same' };
    const request = { instruction: 'run' };
    const submit = async (headers: object, submitted = request) =>
      (
        await suite().service.agent.call('RunAgentInstructionAsync', submitted, {
          ...headers,
          ...key,
        })
      ).taskId;
    const ofAcme = await submit(ACME);
    // Another request under the key of another tenant is no conflict either.
    const ofRival = await submit(RIVAL, { instruction: 'run otherwise' });
    expect(ofRival).not.toBe(ofAcme);
    expect(await submit(ACME)).toBe(ofAcme);
    expect((await suite().storage.getTask(ofAcme))?.tenantId).toBe('acme');
    expect((await suite().storage.getTask(ofRival))?.tenantId).toBe('rival');
  });

  it('are reached through no other port of the process, which asks for no tokens', async () => {
    const { storage, runner } = suite();
    const taskId = await suite().runToEnd(ACME);
    const options = { maxTasks: 100, allowSetGlobalConfig: true };
    const other = await startAgentService(storage, runner, options);
    const raw = new RawClient(other.address);
    const outcomes: Record<string, number> = {};
    const operations = await suite().operationsOf(async () => {
      for (const path of OF_TASKS) {
        const request = NAMING[path]?.(taskId) ?? { older_than_days: 0, commonConfig: {} };
        outcomes[path] = (await raw.call(path, request)).code;
      }
      const { code } = await raw.call(`${AGENT}/GetCommonConfig`, { id: 'global' });
      outcomes['GetCommonConfig of the global one'] = code;
    });
    raw.close();
    await other.close();
    const refused = Object.keys(outcomes).map((path) => [path, status.INTERNAL]);
    expect(outcomes).toEqual(Object.fromEntries(refused));
    expect(operations).toEqual([]);
  });

  it('keep what a task has said to themselves when an operator would continue it', async () => {
    const previousTaskId = await suite().runToEnd(ACME);
    const request = { instruction: 'go on', previousTaskId };
    const { agent } = suite().service;
    const refused = await statusOf(
      agent.call('RunAgentInstructionAsync', request, AS['all-admin']),
    );
    expect(refused).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(refused.details).toMatch(/belongs to the tenant acme.*; use a token of acme$/);
    const own = await suite().runToEnd(AS['all-admin']);
    await suite().submit(AS['all-admin'], { previousTaskId: own });
  });

  it('are all open to an operator', async () => {
    const running = await suite().submit(ACME);
    const { taskId } = running;
    const { agent, tasks } = suite().service;
    const operator = AS['all-admin'];
    expect(await agent.call('QueryTaskStatus', { taskId }, operator)).toMatchObject({
      status: 'RUNNING',
    });
    expect(await agent.call('CancelTask', { taskId }, operator)).toMatchObject({ success: true });
    await running.aborted;
    await tasks.call('DeleteTask', { task_id: taskId }, operator);
    expect(await suite().storage.getTask(taskId)).toBeNull();
  });
});
