import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { detailsOf, errorInfoOf, statusOf } from '../support/agent-clients.js';
import { startAgentService, type AgentService } from '../support/agent-service.js';
import { eventually } from '../support/eventually.js';
import { ManualClock } from '../support/manual-clock.js';
import { RawClient } from '../support/raw-calls.js';
import { ScriptedRunner } from '../support/scripted-runner.js';
import { bearer, TokensFile } from '../support/tokens-file.js';

/** More than the service takes to look at its file again. */
const LATER_MS = 5_000;

/** Many times what fits between the service and a client that does not read. */
const STALLING_STAGES = 100;
const LARGE = 'x'.repeat(60_000);

const MINE = { token: 'mine', tenant: 'acme', role: 'run' } as const;
const OTHER = { token: 'other', tenant: 'acme', role: 'run' } as const;

describe('A service that asks for tokens', () => {
  let tokens: TokensFile;
  let clock: ManualClock;
  let runner: ScriptedRunner;
  let service: AgentService;

  beforeEach(async () => {
    tokens = await TokensFile.create([MINE, OTHER]);
    clock = new ManualClock();
    runner = new ScriptedRunner();
  });

  afterEach(async () => {
    await service.stop();
    await service.close();
    await tokens.remove();
  });

  async function start(callsPerSecond?: number): Promise<void> {
    service = await startAgentService(createMemoryTaskStorage(), runner, {
      port: {
        auth: { tokensFile: tokens.path, callsPerSecond },
        clock,
        services: [
          (server) =>
            server.addService(
              {
                Do: {
                  path: '/an.application.of/ItsOwn',
                  requestStream: false,
                  responseStream: false,
                  requestSerialize: (bytes: Buffer) => bytes,
                  requestDeserialize: (bytes) => bytes,
                  responseSerialize: (bytes: Buffer) => bytes,
                  responseDeserialize: (bytes) => bytes,
                },
              },
              {
                Do: (_call: unknown, answer: (error: null, bytes: Buffer) => void) =>
                  answer(null, Buffer.alloc(0)),
              },
            ),
        ],
      },
    });
  }

  async function open(token: string) {
    const stream = service.agent.stream(
      'RunAgentInstruction',
      { instruction: 'run' },
      bearer(token),
    );
    await stream.next();
    return { stream, run: await runner.next() };
  }

  it('refuses an RPC that nobody has given a role', async () => {
    await start();
    const raw = new RawClient(service.address);
    expect(await raw.call('/an.application.of/ItsOwn', {}, bearer('mine'))).toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    expect(await raw.call('/an.application.of/ItsOwn')).toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    raw.close();
  });

  it('says why it refuses in the way of all its errors', async () => {
    await start();
    const nobody = await statusOf(service.agent.call('GetAgentInfo'));
    expect(errorInfoOf(nobody)).toMatchObject({
      code: status.UNAUTHENTICATED,
      reason: 'UNAUTHENTICATED',
      domain: 'nestjs-task-storage',
    });
    const request = { older_than_days: 0 };
    const denied = await statusOf(service.tasks.call('CleanupOldTasks', request, bearer('mine')));
    expect(errorInfoOf(denied)).toMatchObject({ reason: 'PERMISSION_DENIED' });
    expect(denied.details).toBe('The call needs the role admin, and the token has the role run');
  });

  it('ends the streams of a token that is taken back, and theirs only', async () => {
    await start();
    const mine = await open('mine');
    const other = await open('other');
    await tokens.write([OTHER]);
    await clock.advance(LATER_MS);
    expect(await statusOf(mine.stream.ended)).toMatchObject({ code: status.UNAUTHENTICATED });
    // As when a client goes: its task ends with it.
    await mine.run.aborted;
    expect(await statusOf(service.agent.call('GetAgentInfo', {}, bearer('mine')))).toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    await other.run.report('still there');
    expect(await other.stream.next()).toMatchObject({ stage: 'still there' });
    other.run.finish();
    await other.stream.ended;
  });

  it('ends the task of a token that is taken back, though its client reads nothing', async () => {
    await start();
    const mine = await open('mine');
    mine.stream.call.pause();
    const reader = service.tasks.stream('WatchTask', { task_id: mine.run.taskId }, bearer('other'));
    for (let stage = 1; stage <= STALLING_STAGES; stage += 1) {
      await mine.run.report(String(stage), LARGE);
    }
    while ((await reader.next()).stage !== String(STALLING_STAGES)) {
      // What the other has been sent, the one that reads nothing could have been sent.
    }
    await tokens.write([OTHER]);
    await clock.advance(LATER_MS);
    await mine.run.aborted;
    expect(mine.stream.messages.length).toBeLessThan(STALLING_STAGES);
    mine.stream.call.resume();
    expect(await statusOf(mine.stream.ended)).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(mine.stream.messages.length).toBeLessThan(STALLING_STAGES);
  });

  it('ends the streams of a token that gets less to say', async () => {
    await start();
    const mine = await open('mine');
    await tokens.write([{ ...MINE, role: 'read' }, OTHER]);
    await clock.advance(LATER_MS);
    expect(await statusOf(mine.stream.ended)).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await service.agent.call('GetAgentInfo', {}, bearer('mine'))).toHaveProperty('version');
  });

  it('lets a new token in', async () => {
    await start();
    await tokens.write([MINE, OTHER, { token: 'new', tenant: 'acme', role: 'read' }]);
    await clock.advance(LATER_MS);
    await eventually(
      async () => service.agent.call('GetAgentInfo', {}, bearer('new')).catch(() => null),
      (answer) => answer !== null,
    );
  });

  it('keeps the tokens that it has when the new file is wrong', async () => {
    await start();
    const { stream, run } = await open('mine');
    await tokens.writeText('[{ "token": "secret" }]');
    await clock.advance(LATER_MS);
    const [error] = await eventually(
      () => service.logger.messages('error'),
      (messages) => messages.length > 0,
    );
    expect(error).toMatch(/^Entry 1 of GRPC_AUTH_TOKENS_FILE .*stays in use$/);
    expect(error).not.toContain('secret');
    expect(await service.agent.call('GetAgentInfo', {}, bearer('mine'))).toHaveProperty('version');
    run.finish();
    expect((await stream.ended).at(-1)).toMatchObject({ stage: 'finished' });
  });

  it('lets each token make so many calls a second, and says when to try again', async () => {
    await start(2);
    const call = async (token: string) => service.agent.call('GetAgentInfo', {}, bearer(token));
    await call('mine');
    await call('mine');
    const refused = await statusOf(call('mine'));
    expect(refused).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(errorInfoOf(refused).reason).toBe('RATE_LIMITED');
    expect(detailsOf(refused)['google.rpc.RetryInfo']).toMatchObject({
      retry_delay: { seconds: '0', nanos: 500_000_000 },
    });
    await call('other');
    await clock.advance(499);
    await statusOf(call('mine'));
    await clock.advance(1);
    await call('mine');
    await statusOf(call('mine'));
  });
});
