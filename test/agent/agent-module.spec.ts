import { hostname } from 'node:os';
import { Injectable, Module, type DynamicModule } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KeyRing } from '../../src/agent/encryption/key-ring.js';
import { RedactionRules } from '../../src/agent/redaction/redaction-rules.js';
import { AGENT_SETTINGS, type AgentSettings } from '../../src/agent/agent-options.js';
import {
  AGENT_RUNNER,
  AgentModule,
  type AgentOutcome,
  type AgentRun,
  type AgentRunner,
} from '../../src/agent/index.js';
import { toTaskScope } from '../../src/agent/task-scope.js';
import { TaskSupervisor } from '../../src/agent/supervisor/task-supervisor.js';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { TASK_STORAGE, type TaskStorage } from '../../src/task/task-storage.js';
import { globalConfig } from '../support/global-config.js';
import { globalStorage } from '../support/global-storage.js';
import { RecordingLogger } from '../support/recording-logger.js';

@Injectable()
class Greeter {
  readonly greeting = 'hello';
}

@Module({ providers: [Greeter], exports: [Greeter] })
class GreeterModule {}

@Injectable()
class GreetingRunner implements AgentRunner {
  readonly description = 'greets';

  constructor(private readonly greeter: Greeter) {}

  async run(run: AgentRun): Promise<AgentOutcome> {
    return { result: `${this.greeter.greeting} ${run.instruction}` };
  }
}

describe('AgentModule', () => {
  let storage: TaskStorage;
  const saved = { ...process.env };

  beforeEach(() => {
    storage = createMemoryTaskStorage();
  });

  afterEach(() => {
    process.env = { ...saved };
  });

  async function start(...imports: (DynamicModule | Promise<DynamicModule>)[]) {
    const module = await Test.createTestingModule({ imports })
      .setLogger(new RecordingLogger())
      .compile();
    await module.init();
    return module;
  }

  async function runTask(module: TestingModule): Promise<unknown> {
    const supervisor = module.get(TaskSupervisor);
    const { taskId } = await supervisor.submit(toTaskScope(storage, null), {
      instruction: 'world',
      sandbox: undefined,
      runningConfig: undefined,
      destroySandbox: undefined,
      previousTaskId: undefined,
    });
    await supervisor.stop(60_000);
    return (await storage.getTask(taskId))?.result;
  }

  function settingsOf(module: TestingModule): AgentSettings {
    return module.get(AGENT_SETTINGS);
  }

  it('fills in the defaults', async () => {
    const module = await start(globalStorage(storage), AgentModule.forRoot());
    expect(settingsOf(module)).toMatchObject({
      maxTasks: 5,
      allowSetGlobalConfig: false,
      logLevel: 'INFO',
      shutdownGraceMs: 10_000,
      maxTasksPerTenant: null,
      maxTasksPerReplica: Infinity,
      whenFull: 'reject',
      leaseMs: 30_000,
      maxAttempts: 3,
      staleRunningMinutes: null,
      keyRing: null,
      instanceId: `${hostname()}:${process.pid}`,
    });
    await module.close();
  });

  it('names each option that is wrong', async () => {
    const options = { maxTasks: 0, shutdownGraceMs: -1, logLevel: 'LOUD' };
    await expect(start(globalStorage(storage), AgentModule.forRoot(options))).rejects.toThrow(
      /maxTasks is "0"; write a whole number.*logLevel is "LOUD".*shutdownGraceMs is "-1"/,
    );
    // A timer for more than that would go off at once.
    await expect(
      start(globalStorage(storage), AgentModule.forRoot({ shutdownGraceMs: 86_400_001 })),
    ).rejects.toThrow('shutdownGraceMs is "86400001"; write a whole number from 0 to 86400000');
    const instanceId = 'x'.repeat(201);
    await expect(
      start(globalStorage(storage), AgentModule.forRoot({ instanceId })),
    ).rejects.toThrow('write at most 200 characters');
  });

  it('injects into the class of a runner', async () => {
    const module = await start(
      globalStorage(storage),
      AgentModule.forRoot({ runner: GreetingRunner, imports: [GreeterModule] }),
    );
    expect(await runTask(module)).toBe('hello world');
    await module.close();
  });

  it('calls the factory of a runner', async () => {
    const useFactory = (greeter: Greeter) => new GreetingRunner(greeter);
    const module = await start(
      globalStorage(storage),
      AgentModule.forRoot({
        imports: [GreeterModule],
        runner: { inject: [Greeter], useFactory },
      }),
    );
    expect(await runTask(module)).toBe('hello world');
    await module.close();
  });

  it('takes a global provider of a runner', async () => {
    const runner = new GreetingRunner(new Greeter());
    const module = await start(
      globalStorage(storage),
      {
        module: class RunnerModule {},
        global: true,
        providers: [{ provide: AGENT_RUNNER, useValue: runner }],
        exports: [AGENT_RUNNER],
      },
      AgentModule.forRoot(),
    );
    expect(await runTask(module)).toBe('hello world');
    await module.close();
  });

  it('runs no tasks without a runner', async () => {
    for (const options of [{}, { runner: { useFactory: () => null } }]) {
      const module = await start(globalStorage(storage), AgentModule.forRoot(options));
      await expect(runTask(module)).rejects.toMatchObject({ code: 'NO_RUNNER' });
      await module.close();
    }
  });

  it('takes a storage that is imported under another token', async () => {
    const token = Symbol('MY_STORAGE');
    const module = await start(
      AgentModule.forRoot({
        storage: token,
        imports: [
          {
            module: class StorageModule {},
            providers: [{ provide: token, useValue: storage }],
            exports: [token],
          },
        ],
        runner: { useFactory: () => new GreetingRunner(new Greeter()) },
      }),
    );
    expect(await runTask(module)).toBe('hello world');
    await module.close();
  });

  it('reads the environment when it is given no options', async () => {
    Object.assign(process.env, {
      TASK_MAX_TASKS: '9',
      ALLOW_SET_GLOBAL_CONFIG: '1',
      LOG_LEVEL: 'warning',
      TASK_INSTANCE_ID: 'me',
      SHUTDOWN_GRACE_MS: '17',
      TASK_MAX_TASKS_PER_TENANT: '8',
      TASK_MAX_TASKS_PER_REPLICA: '7',
      TASK_LEASE_MS: '2000',
      TASK_MAX_ATTEMPTS: '6',
      TASK_STALE_RUNNING_MINUTES: '60',
      TASK_MAX_INSTRUCTION_BYTES: '1001',
      TASK_MAX_FIELD_BYTES: '1025',
      TASK_MAX_STAGES: '1003',
      TASK_MAX_STAGE_BYTES: '1026',
      GRPC_MAX_STREAMS: '1005',
      TASK_STORAGE_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
    });
    const module = await start(
      globalConfig(),
      globalStorage(storage),
      AgentModule.forRootAsync({ runner: GreetingRunner, imports: [GreeterModule] }),
    );
    expect(settingsOf(module)).toEqual({
      maxTasks: 9,
      allowSetGlobalConfig: true,
      logLevel: 'WARNING',
      instanceId: 'me',
      shutdownGraceMs: 17,
      maxTasksPerTenant: 8,
      maxTasksPerReplica: 7,
      whenFull: 'reject',
      leaseMs: 2_000,
      maxAttempts: 6,
      staleRunningMinutes: 60,
      maxInstructionBytes: 1001,
      maxFieldBytes: 1025,
      maxStages: 1003,
      maxStageBytes: 1026,
      maxStreams: 1005,
      keyRing: expect.any(KeyRing),
      redaction: expect.any(RedactionRules),
    });
    expect(await runTask(module)).toBe('hello world');
    await module.close();
  });

  it('names the variable that is wrong', async () => {
    process.env['TASK_MAX_TASKS'] = 'many';
    await expect(
      start(globalConfig(), globalStorage(storage), AgentModule.forRootAsync()),
    ).rejects.toThrow('TASK_MAX_TASKS is "many"; write a whole number from 1');
  });

  it('takes options from a factory', async () => {
    const module = await start(
      globalStorage(storage),
      AgentModule.forRootAsync({
        imports: [GreeterModule],
        inject: [Greeter],
        useFactory: (greeter: Greeter) => ({ instanceId: greeter.greeting, maxTasks: 2 }),
      }),
    );
    expect(settingsOf(module)).toMatchObject({ instanceId: 'hello', maxTasks: 2 });
    await module.close();
  });

  it('lets a test override the storage', async () => {
    const module = await Test.createTestingModule({
      imports: [
        globalStorage(createMemoryTaskStorage()),
        AgentModule.forRoot({ runner: { useFactory: () => new GreetingRunner(new Greeter()) } }),
      ],
    })
      .overrideProvider(TASK_STORAGE)
      .useValue(storage)
      .setLogger(new RecordingLogger())
      .compile();
    await module.init();
    expect(await runTask(module)).toBe('hello world');
    await module.close();
  });
});
