import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { errorInfoOf, statusOf } from '../support/agent-clients.js';
import { describeAgentService } from '../support/agent-suite.js';

const HOSTILE = [
  `'; DROP TABLE agent_tasks; --`,
  `" OR 1=1 /*`,
  '$1 ${x} {{x}} :name ?',
  '%',
  'good%',
  'goo_',
  'good\\',
  '../../etc/passwd',
  'good/../good',
  'good%0d%0agrpc-status: 0',
  'good\r\ngrpc-status: 0\r\n',
  'good\u2028[Nest] ERROR',
  '\u001b[2Kgood',
  ' good',
  'GOOD',
  '{"$ne": null}',
  '__proto__',
  'constructor',
];

describeAgentService('Hostile text from a client', (suite) => {
  it('finds no task but the one of exactly that id, and is quoted as it is', async () => {
    await suite.storage.createTask({ taskId: 'good', query: 'q', maxSteps: 1 });
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
    const property = fc.asyncProperty(text, async (id) => {
      fc.pre(id !== 'good');
      const { agent, tasks } = suite.service;
      expect(await agent.call('QueryTaskStatus', { taskId: id })).toMatchObject({
        status: 'NOT_FOUND',
        message: `Task with ID ${id} not found.`,
      });
      const error = await statusOf(agent.stream('GetAgentTaskStream', { taskId: id }).ended);
      expect(error.code).toBe(status.NOT_FOUND);
      expect(error.details).toBe(`Task with ID ${id} not found.`);
      const refused = await statusOf(tasks.call('DeleteTask', { task_id: id }));
      expect([status.NOT_FOUND, status.INVALID_ARGUMENT]).toContain(refused.code);
    });
    await fc.assert(property, { numRuns: 30, examples: HOSTILE.map((id) => [id]) });
    expect(await suite.storage.getTask('good')).not.toBeNull();
  });

  it('is no page token', async () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 100 });
    const property = fc.asyncProperty(text, async (token) => {
      const error = await statusOf(suite.service.tasks.call('ListTasks', { page_token: token }));
      expect(error.code).toBe(status.INVALID_ARGUMENT);
      expect(errorInfoOf(error).metadata).toEqual({ field: 'page_token' });
    });
    await fc.assert(property, { numRuns: 30, examples: HOSTILE.map((token) => [token]) });
  });

  it('is an instruction like any other, and a stage like any other', async () => {
    for (const text of HOSTILE) {
      const stream = suite.service.agent.stream('RunAgentInstruction', { instruction: text });
      const run = await suite.runner.next();
      expect(run.run.instruction).toBe(text);
      await run.report(text, text);
      run.finish({ result: text });
      const stages = (await stream.ended).map(({ stage, message }) => [stage, message]);
      expect(stages).toContainEqual([text, text]);
      const taskId = stream.messages[0]?.taskId ?? '';
      expect(await suite.storage.getTask(taskId)).toMatchObject({ query: text, result: text });
    }
  });
});
