import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Injectable, Module, type DynamicModule } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import {
  createMemoryTaskStorage,
  getTaskStorageToken,
  InjectTaskStorage,
  TASK_STORAGE,
  TaskStorageModule,
  type TaskStorage,
  type TaskStorageModuleOptions,
  type TaskStorageOptionsFactory,
} from '../../src/index.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

const newTask = { taskId: 'a', query: 'add 2 and 2', maxSteps: 5 };

@Injectable()
class Consumer {
  constructor(@InjectTaskStorage() readonly storage: TaskStorage) {}
}

@Injectable()
class MemoryOptions implements TaskStorageOptionsFactory {
  createTaskStorageOptions(): TaskStorageModuleOptions {
    return { backend: 'memory' };
  }
}

@Module({ providers: [MemoryOptions], exports: [MemoryOptions] })
class MemoryOptionsModule {}

function configured(variables: Record<string, string>): Promise<DynamicModule> {
  return ConfigModule.forRoot({
    isGlobal: true,
    ignoreEnvFile: true,
    ignoreEnvVars: true,
    load: [() => variables],
  });
}

async function openWith(
  imports: (DynamicModule | Promise<DynamicModule>)[],
): Promise<{ storage: TaskStorage; close: () => Promise<void> }> {
  const app = await Test.createTestingModule({ imports, providers: [Consumer] }).compile();
  return { storage: app.get(Consumer).storage, close: async () => app.close() };
}

describe('TaskStorageModule', () => {
  it.each([
    ['forRoot', () => TaskStorageModule.forRoot({ backend: 'memory' })],
    [
      'useFactory',
      () =>
        TaskStorageModule.forRootAsync({
          imports: [MemoryOptionsModule],
          inject: [MemoryOptions],
          useFactory: (options: MemoryOptions) => options.createTaskStorageOptions(),
        }),
    ],
    ['useClass', () => TaskStorageModule.forRootAsync({ useClass: MemoryOptions })],
    [
      'useExisting',
      () =>
        TaskStorageModule.forRootAsync({
          imports: [MemoryOptionsModule],
          useExisting: MemoryOptions,
        }),
    ],
  ])('provides a storage registered by %s, and closes it with the app', async (_way, register) => {
    const { storage, close } = await openWith([register()]);
    expect(await storage.createTask(newTask)).toBe(true);
    await close();
    await expect(storage.getTask('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('can be global', async () => {
    @Module({ providers: [Consumer], exports: [Consumer] })
    class Feature {}
    const app = await Test.createTestingModule({
      imports: [TaskStorageModule.forRoot({ backend: 'memory', isGlobal: true }), Feature],
    }).compile();
    expect(await app.get(Consumer).storage.createTask(newTask)).toBe(true);
    await app.close();
  });

  it('keeps several storages side by side by name', async () => {
    const app = await Test.createTestingModule({
      imports: [
        TaskStorageModule.forRoot({ backend: 'memory' }),
        TaskStorageModule.forRoot({ backend: 'memory', name: 'audit' }),
        TaskStorageModule.forRootAsync({
          name: 'drafts',
          useFactory: () => ({ backend: 'memory' }),
        }),
      ],
    }).compile();
    const storages = [undefined, 'audit', 'drafts'].map((name) =>
      app.get<TaskStorage>(getTaskStorageToken(name)),
    );
    await storages[1]?.createTask(newTask);
    const found = await Promise.all(storages.map(async (storage) => storage.getTask('a')));
    expect(found.map((task) => task?.taskId)).toEqual([undefined, 'a', undefined]);
    await app.close();
  });

  it('can be overridden in a test, without its own storage being opened', async () => {
    const override = createMemoryTaskStorage();
    const app = await Test.createTestingModule({
      imports: [
        TaskStorageModule.forRoot({
          backend: 'postgres',
          connectionString: 'postgresql://user:password@127.0.0.1:1/nowhere',
        }),
      ],
      providers: [Consumer],
    })
      .overrideProvider(TASK_STORAGE)
      .useValue(override)
      .compile();
    expect(app.get(Consumer).storage).toBe(override);
    await app.close();
    await expect(override.ping()).resolves.toBeUndefined();
  });
});

describe('TaskStorageModule.forRootAsync() without arguments', () => {
  it('reads ConfigService, and takes memory by default', async () => {
    const { storage, close } = await openWith([configured({}), TaskStorageModule.forRootAsync()]);
    expect(storage.description).toBe('memory');
    await close();
  });

  it('says so when a factory returns nothing', async () => {
    const forgetful = TaskStorageModule.forRootAsync({ useFactory: () => JSON.parse('null') });
    await expect(openWith([forgetful])).rejects.toThrow(
      "The options of the task storage are null; give at least { backend: 'memory' }",
    );
  });

  it('waits for a configuration that is loaded asynchronously', async () => {
    const loaded = ConfigModule.forRoot({
      isGlobal: true,
      ignoreEnvFile: true,
      ignoreEnvVars: true,
      load: [async () => Promise.resolve({ TASK_STORAGE_BACKEND: 'postgres' })],
    });
    await expect(openWith([TaskStorageModule.forRootAsync(), loaded])).rejects.toThrow(
      'TASK_STORAGE_BACKEND=postgres needs POSTGRES_CONNECTION_STRING',
    );
  });

  it('says how to provide ConfigService when there is none', async () => {
    await expect(openWith([TaskStorageModule.forRootAsync()])).rejects.toThrow(
      'write ConfigModule.forRoot({ isGlobal: true }) in the imports of the root module',
    );
  });

  it.each<[Record<string, string>, string]>([
    [
      { TASK_STORAGE_BACKEND: 'postgress' },
      'TASK_STORAGE_BACKEND is "postgress"; write memory or postgres',
    ],
    [
      { TASK_STORAGE_BACKEND: 'postgres' },
      'TASK_STORAGE_BACKEND=postgres needs POSTGRES_CONNECTION_STRING, for example postgresql://user:password@localhost:5432/agent_tasks',
    ],
    [
      { TASK_STORAGE_BACKEND: 'postgres', POSTGRES_POOL_SIZE: 'many' },
      'POSTGRES_POOL_SIZE is "many"; write a whole number from 3 to 10000',
    ],
    [
      { MEMORY_MAX_TASKS: '-1', TASK_STORAGE_MIGRATIONS: 'never' },
      'TASK_STORAGE_MIGRATIONS is "never"; write auto or manual. MEMORY_MAX_TASKS is "-1"; write a whole number from 0 up',
    ],
  ])('stops the start with one sentence for %j', async (variables, sentence) => {
    await expect(
      openWith([configured(variables), TaskStorageModule.forRootAsync()]),
    ).rejects.toThrow(new Error(sentence));
  });
});

describe('wrong combinations', () => {
  it.each<[string, () => unknown, string]>([
    [
      'two sources of options',
      () =>
        TaskStorageModule.forRootAsync({
          useClass: MemoryOptions,
          useFactory: () => ({ backend: 'memory' }),
        }),
      'useFactory and useClass exclude each other in TaskStorageModule.forRootAsync(); give one of them',
    ],
    [
      'an option of forRoot in forRootAsync',
      () => TaskStorageModule.forRootAsync(JSON.parse('{"backend": "memory"}')),
      'backend is not an option of TaskStorageModule.forRootAsync(); return it from useFactory, or use forRoot()',
    ],
    [
      'inject without a factory',
      () => TaskStorageModule.forRootAsync({ inject: [MemoryOptions] }),
      'inject is for useFactory',
    ],
    [
      'an unknown backend',
      () => TaskStorageModule.forRoot(JSON.parse('{"backend": "postgress"}')),
      'backend is "postgress"; write memory or postgres',
    ],
    [
      'an option of the other backend',
      () => TaskStorageModule.forRoot(JSON.parse('{"backend": "memory", "poolSize": 3}')),
      'poolSize is an option of the postgres backend, but backend is memory; change one of them',
    ],
    [
      'an unknown option',
      () => TaskStorageModule.forRoot(JSON.parse('{"backend": "memory", "maxTask": 3}')),
      'maxTask is not an option of the memory backend; known are backend, maxTasks',
    ],
  ])('%s is an error at once', (_what, register, sentence) => {
    expect(register).toThrow(sentence);
  });
});

describe('the Postgres backend', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await database.drop();
  });

  it('is configured by the environment names of the original service', async () => {
    const { storage, close } = await openWith([
      configured({
        TASK_STORAGE_BACKEND: 'postgres',
        POSTGRES_CONNECTION_STRING: database.connectionString,
      }),
      TaskStorageModule.forRootAsync(),
    ]);
    expect(await storage.createTask(newTask)).toBe(true);
    expect(storage.description).toMatch(
      /^postgres at 127\.0\.0\.1:\d+\/test_\w+, table public\.agent_tasks$/,
    );
    await close();
  });

  it("shares the application's data source, and leaves it to the application to close", async () => {
    const app = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.connectionString }),
        TaskStorageModule.forRootAsync({
          inject: [getDataSourceToken()],
          useFactory: (dataSource: DataSource) => ({ backend: 'postgres', dataSource }),
        }),
      ],
      providers: [Consumer],
    }).compile();
    const { storage } = app.get(Consumer);
    expect(await storage.createTask(newTask)).toBe(true);
    expect(await app.get(DataSource).query('SELECT task_id FROM agent_tasks')).toEqual([
      { task_id: 'a' },
    ]);
    await app.close();
    await expect(storage.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
