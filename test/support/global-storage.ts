import type { DynamicModule } from '@nestjs/common';
import { TASK_STORAGE, type TaskStorage } from '../../src/task/task-storage.js';

class GlobalStorageModule {}

/** Provides a storage that a test has made to every module of an application. */
export function globalStorage(storage: TaskStorage): DynamicModule {
  return {
    module: GlobalStorageModule,
    global: true,
    providers: [{ provide: TASK_STORAGE, useValue: storage }],
    exports: [TASK_STORAGE],
  };
}
