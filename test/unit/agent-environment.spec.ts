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
      TASK_MAX_TASKS: 5,
      GRPC_HOST: '127.0.0.1',
      GRPC_PORT: 50_051,
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

  it('is nobody when it is configured in code and not named', () => {
    expect(toAgentSettings({}).instanceId).toBeNull();
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
    [{ TASK_INSTANCE_ID: 'x'.repeat(201) }, 'write at most 200 characters'],
  ])('refuses %j', (variables, message) => {
    expect(() => readAgentOptions(source(variables))).toThrow(message);
  });
});
