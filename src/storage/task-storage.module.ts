import {
  Module,
  type DynamicModule,
  type FactoryProvider,
  type InjectionToken,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { awaitedByNest } from '../config/awaited-by-nest.js';
import { ConfigurationError } from '../config/configuration-error.js';
import { optionsFromConfigService } from '../config/options-from-config-service.js';
import { getTaskStorageToken } from './inject-task-storage.js';
import { OpenedTaskStorage } from './opened-task-storage.js';
import { readTaskStorageOptions } from './task-storage-environment.js';
import { assertStorageOptions, type TaskStorageModuleOptions } from './task-storage-options.js';

/** How a storage is registered, whichever way its options come. */
export interface TaskStorageRegistration {
  /** For several storages side by side: inject it with `@InjectTaskStorage(name)`. */
  name?: string | undefined;
  /** Whether every module may inject the storage without importing this one. Default false. */
  isGlobal?: boolean | undefined;
}

/** Makes the options, for `useClass` and `useExisting`. */
export interface TaskStorageOptionsFactory {
  createTaskStorageOptions(): TaskStorageModuleOptions | Promise<TaskStorageModuleOptions>;
}

/** Where the options come from. Give one of the first three, or none to read ConfigService. */
export interface TaskStorageAsyncOptions extends TaskStorageRegistration {
  useFactory?: (
    ...dependencies: never[]
  ) => TaskStorageModuleOptions | Promise<TaskStorageModuleOptions>;
  useClass?: Type<TaskStorageOptionsFactory>;
  useExisting?: InjectionToken<TaskStorageOptionsFactory>;
  /** What `useFactory` is called with. */
  inject?: FactoryProvider['inject'];
  /** The modules that provide what is injected. */
  imports?: ModuleMetadata['imports'];
}

/** The options of one registration. */
const OPTIONS = Symbol('nestjs-task-storage:OPTIONS');

/** Provides a task storage under `TASK_STORAGE`, or under a name of its own. */
@Module({})
export class TaskStorageModule {
  /**
   * Registers a storage with options that are known now.
   *
   * @throws {ConfigurationError} when the options do not fit the backend
   */
  static forRoot(options: TaskStorageModuleOptions & TaskStorageRegistration): DynamicModule {
    const { name, isGlobal, ...storageOptions } = options;
    assertStorageOptions(storageOptions);
    return register({ name, isGlobal }, [{ provide: OPTIONS, useValue: storageOptions }], []);
  }

  /**
   * Registers a storage whose options come from ConfigService (no argument, or none of the `use`
   * options), from a factory, or from a class.
   *
   * @throws {ConfigurationError} when the options exclude each other
   */
  static forRootAsync(options: TaskStorageAsyncOptions = {}): Promise<DynamicModule> {
    assertOneSource(options);
    return awaitedByNest(registerAsync(options));
  }
}

async function registerAsync(options: TaskStorageAsyncOptions): Promise<DynamicModule> {
  const { useFactory, useClass, useExisting, inject = [], imports = [] } = options;
  if (useFactory !== undefined) {
    return register(options, [{ provide: OPTIONS, useFactory, inject }], imports);
  }
  const factory = useClass ?? useExisting;
  if (factory !== undefined) {
    const provider: Provider = {
      provide: OPTIONS,
      useFactory: async (made: TaskStorageOptionsFactory) => made.createTaskStorageOptions(),
      inject: [factory],
    };
    return register(options, useClass === undefined ? [provider] : [provider, useClass], imports);
  }
  const config = await optionsFromConfigService('TaskStorageModule', readTaskStorageOptions);
  const { useFactory: readOptions } = config;
  return register(
    options,
    [{ provide: OPTIONS, useFactory: readOptions, inject: config.inject }],
    imports,
  );
}

function register(
  { name, isGlobal = false }: TaskStorageRegistration,
  optionsProviders: Provider[],
  imports: NonNullable<ModuleMetadata['imports']>,
): DynamicModule {
  const token = getTaskStorageToken(name);
  return {
    module: TaskStorageModule,
    global: isGlobal,
    imports,
    providers: [
      ...optionsProviders,
      OpenedTaskStorage,
      {
        provide: token,
        useFactory: async (opened: OpenedTaskStorage, options: TaskStorageModuleOptions) =>
          opened.open(options),
        inject: [OpenedTaskStorage, OPTIONS],
      },
    ],
    exports: [token],
  };
}

const ASYNC_OPTIONS: Readonly<Record<keyof TaskStorageAsyncOptions, true>> = {
  name: true,
  isGlobal: true,
  useFactory: true,
  useClass: true,
  useExisting: true,
  inject: true,
  imports: true,
};

function assertOneSource(options: TaskStorageAsyncOptions): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(ASYNC_OPTIONS, name));
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `${unknown} is not an option of TaskStorageModule.forRootAsync(); return it from useFactory, or use forRoot()`,
    );
  }
  const sources = (['useFactory', 'useClass', 'useExisting'] as const).filter(
    (source) => options[source] !== undefined,
  );
  if (sources.length > 1) {
    throw new ConfigurationError(
      `${sources.join(' and ')} exclude each other in TaskStorageModule.forRootAsync(); give one of them`,
    );
  }
  if (options.inject !== undefined && options.useFactory === undefined) {
    throw new ConfigurationError(
      'inject is for useFactory in TaskStorageModule.forRootAsync(); add useFactory or leave inject out',
    );
  }
}
