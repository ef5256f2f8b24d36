import { Inject } from '@nestjs/common';
import { TASK_STORAGE } from '../task/task-storage.js';

/** @returns the injection token of a storage: `TASK_STORAGE`, or that of a named one */
export function getTaskStorageToken(name?: string): symbol {
  return name === undefined ? TASK_STORAGE : Symbol.for(`nestjs-task-storage:TASK_STORAGE:${name}`);
}

/** Injects the application's task storage, or the one registered under a name. */
export function InjectTaskStorage(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getTaskStorageToken(name));
}
