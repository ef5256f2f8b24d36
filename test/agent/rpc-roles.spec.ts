import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { RPC_ACCESS } from '../../src/agent/auth/rpc-access.js';
import type { Headers } from '../support/agent-clients.js';
import { AS, describeSecuredService } from '../support/secured-suite.js';
import { bearer } from '../support/tokens-file.js';

/** Which tokens open each RPC, said once more by hand: what the table says is what is tested. */
const READ = ['acme-read', 'acme-run', 'acme-admin', 'all-read', 'all-run', 'all-admin'];
const RUN = ['acme-run', 'acme-admin', 'all-run', 'all-admin'];
const ADMIN = ['acme-admin', 'all-admin'];
const ADMIN_OF_ALL = ['all-admin'];

const OPENED_BY: Readonly<Record<string, readonly string[] | 'nothing needed'>> = {
  '/lybic.agent.Agent/GetAgentInfo': READ,
  '/lybic.agent.Agent/RunAgentInstruction': RUN,
  '/lybic.agent.Agent/RunAgentInstructionAsync': RUN,
  '/lybic.agent.Agent/GetAgentTaskStream': READ,
  '/lybic.agent.Agent/QueryTaskStatus': READ,
  '/lybic.agent.Agent/CancelTask': RUN,
  '/lybic.agent.Agent/GetGlobalCommonConfig': READ,
  '/lybic.agent.Agent/GetCommonConfig': READ,
  '/lybic.agent.Agent/SetGlobalCommonConfig': ADMIN_OF_ALL,
  '/lybic.agent.Agent/SetGlobalCommonLLMConfig': ADMIN_OF_ALL,
  '/lybic.agent.Agent/SetGlobalGroundingLLMConfig': ADMIN_OF_ALL,
  '/lybic.agent.Agent/SetGlobalEmbeddingLLMConfig': ADMIN_OF_ALL,
  '/nestjs_task_storage.v1.TaskService/GetTask': READ,
  '/nestjs_task_storage.v1.TaskService/ListTasks': READ,
  '/nestjs_task_storage.v1.TaskService/CountActiveTasks': READ,
  '/nestjs_task_storage.v1.TaskService/WatchTask': READ,
  '/nestjs_task_storage.v1.TaskService/DeleteTask': ADMIN,
  '/nestjs_task_storage.v1.TaskService/CleanupOldTasks': ADMIN,
  '/grpc.health.v1.Health/Check': 'nothing needed',
  '/grpc.health.v1.Health/List': 'nothing needed',
  '/grpc.health.v1.Health/Watch': 'nothing needed',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo': READ,
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': READ,
};

const REFUSALS: readonly number[] = [status.UNAUTHENTICATED, status.PERMISSION_DENIED];

/** What presents no token that is known. */
const STRANGERS: readonly (readonly [string, Headers])[] = [
  ['no token', {}],
  ['a wrong token', bearer('acme-adminn')],
  ['the hash of a token', bearer('0'.repeat(64))],
  ['no more than the scheme', { authorization: 'Bearer ' }],
  ['another scheme', { authorization: 'Basic acme-admin' }],
  ['two tokens', { authorization: 'Bearer acme-admin acme-admin' }],
];

/** Another tenant is in the tests of isolation. */
const TOKENS = Object.entries(AS).filter(([token]) => token !== 'rival-admin');

describeSecuredService('The roles of tokens', (suite) => {
  it('are said for every RPC that the port answers, and for no other', () => {
    expect(suite().servedPaths.toSorted()).toEqual(Object.keys(OPENED_BY).toSorted());
    expect([...RPC_ACCESS.keys()].toSorted()).toEqual(Object.keys(OPENED_BY).toSorted());
  });

  it.each(Object.entries(OPENED_BY))('open %s to these tokens only: %j', async (path, opening) => {
    for (const [token, headers] of TOKENS) {
      const { code, details } = await suite().raw.call(path, {}, headers);
      if (opening === 'nothing needed' || opening.includes(token)) {
        expect([token, REFUSALS.includes(code)]).toEqual([token, false]);
      } else {
        expect([token, code, details]).toEqual([
          token,
          status.PERMISSION_DENIED,
          expect.stringMatching(/^The call (needs the role|reaches all tenants)/),
        ]);
      }
    }
  });

  it.each(Object.entries(OPENED_BY))(
    'close %s to strangers, all in the same words',
    async (path, opening) => {
      const first = await suite().raw.call(path, {}, {});
      if (opening === 'nothing needed') {
        expect(REFUSALS).not.toContain(first.code);
        return;
      }
      expect(first).toMatchObject({
        code: status.UNAUTHENTICATED,
        details: 'The call needs a valid token, in the metadata "authorization: Bearer <token>"',
      });
      for (const [what, headers] of STRANGERS) {
        expect([what, await suite().raw.call(path, {}, headers)]).toEqual([what, first]);
      }
    },
  );
});
