import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { loadOptionalPackage } from '../config/optional-package.js';
import type { TaskStorage } from '../task/task-storage.js';
import { createMemoryTaskStorage } from './memory/index.js';
import { assertStorageOptions, type TaskStorageModuleOptions } from './task-storage-options.js';

/**
 * Opens the storage of one registration of the module, and closes it last of all: Nest stops the
 * transports and whoever runs tasks before it calls `onApplicationShutdown`.
 */
export class OpenedTaskStorage implements OnApplicationShutdown {
  readonly #logger = new Logger('TaskStorage');
  #storage: TaskStorage | null = null;

  /** @throws {ConfigurationError} or {TaskStorageError} saying what is wrong with the options */
  async open(options: TaskStorageModuleOptions): Promise<TaskStorage> {
    assertStorageOptions(options);
    this.#storage = await this.#create(options);
    this.#logger.log(`Tasks are stored in ${this.#storage.description}`);
    return this.#storage;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#storage?.close();
  }

  async #create(options: TaskStorageModuleOptions): Promise<TaskStorage> {
    if (options.backend === 'memory') {
      return createMemoryTaskStorage({ maxTasks: options.maxTasks });
    }
    const neededBy = 'The postgres backend';
    await loadOptionalPackage('pg', neededBy, async () => import('pg'));
    const { createPostgresTaskStorage } = await loadOptionalPackage(
      'typeorm',
      neededBy,
      async () => import('./typeorm/index.js'),
    );
    const { backend: _backend, ...postgres } = options;
    return createPostgresTaskStorage({
      ...postgres,
      onWarning: (message) => this.#logger.warn(message),
    });
  }
}
