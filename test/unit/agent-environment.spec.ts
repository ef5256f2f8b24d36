import { hostname } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { agentEnvironment, readAgentOptions } from '../../src/agent/agent-environment.js';
import { toAgentSettings } from '../../src/agent/agent-options.js';
import { readEnvironment } from '../../src/config/environment.js';

function source(variables: Record<string, string>): Map<string, string> {
  return new Map(Object.entries(variables));
}

describe('The environment of the agent', () => {
  it('has the defaults of the original service', () => {
    expect(readEnvironment(agentEnvironment, source({}))).toEqual({
      TASK_MAX_INSTRUCTION_BYTES: 1_048_576,
      TASK_MAX_FIELD_BYTES: 33_554_432,
      TASK_MAX_STAGES: 10_000,
      TASK_MAX_STAGE_BYTES: 65_536,
      GRPC_MAX_STREAMS: 500,
      GRPC_MAX_MESSAGE_BYTES: 4_194_304,
      GRPC_MAX_CONCURRENT_CALLS: 1_000,
      GRPC_MAX_CONNECTION_IDLE_MS: 300_000,
      TASK_MAX_TASKS: 5,
      TASK_MAX_TASKS_PER_TENANT: undefined,
      TASK_MAX_TASKS_PER_REPLICA: undefined,
      TASK_WHEN_FULL: 'reject',
      TASK_LEASE_MS: 30_000,
      TASK_MAX_ATTEMPTS: 3,
      TASK_STALE_RUNNING_MINUTES: undefined,
      TASK_STORAGE_ENCRYPTION_KEYS: undefined,
      TASK_REDACT_PATHS: undefined,
      GRPC_HOST: '127.0.0.1',
      GRPC_PORT: 50_051,
      GRPC_TLS_CERT: undefined,
      GRPC_TLS_KEY: undefined,
      GRPC_TLS_CLIENT_CA: undefined,
      GRPC_AUTH_TOKENS_FILE: undefined,
      GRPC_RATE_LIMIT_PER_SECOND: undefined,
      GRPC_ALLOW_INSECURE: false,
      ALLOW_SET_GLOBAL_CONFIG: false,
      LOG_LEVEL: 'INFO',
      SHUTDOWN_GRACE_MS: 10_000,
      TASK_INSTANCE_ID: undefined,
    });
  });

  it('names an instance after its host and port, the same at each start', () => {
    const options = readAgentOptions(source({ GRPC_PORT: '1234' }));
    expect(options.instanceId).toBe(`${hostname()}:1234`);
  });

  it('names an instance after its process when it is configured in code and not named', () => {
    expect(toAgentSettings({}).instanceId).toBe(`${hostname()}:${process.pid}`);
  });

  it('lets a replica run as many tasks as there are, unless it says less', () => {
    expect(toAgentSettings({ maxTasks: 9 }).maxTasksPerReplica).toBe(Infinity);
    expect(toAgentSettings({ maxTasks: 9, maxTasksPerReplica: 2 }).maxTasksPerReplica).toBe(2);
  });

  it('says nothing of the keys when one of them is wrong', () => {
    const options = readAgentOptions(source({ TASK_STORAGE_ENCRYPTION_KEYS: 'k1:secret' }));
    expect(() => toAgentSettings(options)).toThrow(
      /^Entry 1 of TASK_STORAGE_ENCRYPTION_KEYS has a key that is not 32 bytes(?!.*secret)/,
    );
  });

  it('takes what becomes of tasks above the limit in any case of letters', () => {
    expect(readAgentOptions(source({ TASK_WHEN_FULL: 'Queue' })).whenFull).toBe('queue');
  });

  it('takes the level names of the original service and those of Nest', () => {
    for (const [written, read] of [
      ['debug', 'DEBUG'],
      ['CRITICAL', 'CRITICAL'],
      ['Verbose', 'verbose'],
      ['warn', 'warn'],
    ] as const) {
      expect(readAgentOptions(source({ LOG_LEVEL: written })).logLevel).toBe(read);
    }
  });

  it.each([
    [{ TASK_MAX_TASKS: '0' }, 'TASK_MAX_TASKS is "0"; write a whole number from 1'],
    [{ GRPC_PORT: '65536' }, 'GRPC_PORT is "65536"; write a whole number from 1 to 65535'],
    [{ ALLOW_SET_GLOBAL_CONFIG: 'yes' }, 'ALLOW_SET_GLOBAL_CONFIG is "yes"; write'],
    [{ TASK_MAX_TASKS_PER_TENANT: '0' }, 'TASK_MAX_TASKS_PER_TENANT is "0"; write a whole'],
    [{ TASK_MAX_TASKS_PER_REPLICA: '0' }, 'TASK_MAX_TASKS_PER_REPLICA is "0"; write a whole'],
    [{ TASK_WHEN_FULL: 'wait' }, 'TASK_WHEN_FULL is "wait"; write reject'],
    [{ TASK_LEASE_MS: '999' }, 'TASK_LEASE_MS is "999"; write a whole number from 1000 to 3600000'],
    [{ TASK_MAX_ATTEMPTS: '0' }, 'TASK_MAX_ATTEMPTS is "0"; write a whole number from 1 to 1000'],
    [{ TASK_STALE_RUNNING_MINUTES: '0' }, 'TASK_STALE_RUNNING_MINUTES is "0"; write a whole'],
    [{ TASK_REDACT_PATHS: 'task.a' }, '"task.a" does not begin with executionStatistics'],
    [{ TASK_REDACT_PATHS: 'sandboxInfo' }, '"sandboxInfo" lacks a name'],
    [{ TASK_REDACT_PATHS: 'sandboxInfo.a,sandboxInfo..b' }, '"sandboxInfo..b" lacks a name'],
    [{ TASK_REDACT_PATHS: 'sandboxInfo.to*' }, 'has a * within a name'],
    [{ TASK_REDACT_PATHS: '["sandboxInfo.a"' }, 'does not begin with'],
    [{ TASK_REDACT_PATHS: 'requestData.*' }, 'covers the instruction'],
    [{ TASK_REDACT_PATHS: 'requestData.instruction' }, 'covers the instruction'],
    [{ TASK_INSTANCE_ID: 'x'.repeat(201) }, 'write at most 200 characters'],
  ])('refuses %j', (variables, message) => {
    expect(() => readAgentOptions(source(variables))).toThrow(message);
  });
});
