import {
  Module,
  type DynamicModule,
  type FactoryProvider,
  type ModuleMetadata,
  type Provider,
} from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { awaitedByNest } from '../config/awaited-by-nest.js';
import { ConfigurationError } from '../config/configuration-error.js';
import { optionsFromConfigService } from '../config/options-from-config-service.js';
import { systemClock } from '../task/clock.js';
import { TASK_STORAGE, type TaskStorage } from '../task/task-storage.js';
import { readRetentionOptions } from './retention-environment.js';
import { toRetentionPlan, type RetentionOptions, type RetentionPlan } from './retention-options.js';
import { RetentionScheduler } from './retention-scheduler.js';
import { TaskCleanupService } from './task-cleanup.service.js';

/** How an application makes the options of {@link RetentionModule} itself. */
export interface RetentionModuleAsyncOptions {
  useFactory: (...dependencies: never[]) => RetentionOptions | Promise<RetentionOptions>;
  /** What `useFactory` is called with. */
  inject?: FactoryProvider['inject'];
  /** The modules that provide what is injected. */
  imports?: ModuleMetadata['imports'];
}

const RETENTION_OPTIONS = Symbol('RETENTION_OPTIONS');
const RETENTION_PLAN = Symbol('RETENTION_PLAN');

const providers: Provider[] = [
  {
    provide: RETENTION_PLAN,
    inject: [RETENTION_OPTIONS],
    useFactory: toRetentionPlan,
  },
  {
    provide: TaskCleanupService,
    inject: [TASK_STORAGE, RETENTION_PLAN],
    useFactory: (storage: TaskStorage, plan: RetentionPlan) =>
      new TaskCleanupService(storage, plan, systemClock),
  },
  {
    provide: RetentionScheduler,
    inject: [TaskCleanupService, RETENTION_PLAN, { token: SchedulerRegistry, optional: true }],
    useFactory: (
      cleanup: TaskCleanupService,
      plan: RetentionPlan,
      registry: SchedulerRegistry | undefined,
    ) => {
      // Importing ScheduleModule here as well would run the application's own jobs twice.
      if (registry === undefined) {
        throw new ConfigurationError(
          'RetentionModule found no scheduler; add ScheduleModule.forRoot() of @nestjs/schedule to the imports of the root module',
        );
      }
      return new RetentionScheduler(cleanup, plan, registry);
    },
  },
];

function register(options: RetentionModuleAsyncOptions): DynamicModule {
  const { imports = [], inject = [], useFactory } = options;
  return {
    module: RetentionModule,
    imports,
    providers: [{ provide: RETENTION_OPTIONS, inject, useFactory }, ...providers],
    exports: [TaskCleanupService],
  };
}

async function registerAsync(
  options: RetentionModuleAsyncOptions | undefined,
): Promise<DynamicModule> {
  return register(
    options ?? (await optionsFromConfigService(RetentionModule.name, readRetentionOptions)),
  );
}

/**
 * Deletes ended tasks when they are old enough. The application provides a global `TASK_STORAGE`
 * and imports `ScheduleModule.forRoot()`.
 */
@Module({})
export class RetentionModule {
  /** @throws {ConfigurationError} at start, when an option is wrong */
  static forRoot(options: RetentionOptions = {}): DynamicModule {
    return register({ useFactory: () => options });
  }

  /** Without options it reads the TASK_RETENTION_ variables through ConfigService. */
  static forRootAsync(options?: RetentionModuleAsyncOptions): Promise<DynamicModule> {
    return awaitedByNest(registerAsync(options));
  }
}
