/*
 * The public API of `nestjs-task-storage`: the module, the contract, the errors and the memory
 * backend. Nothing here needs an optional peer dependency.
 */
export { ConfigurationError } from './config/configuration-error.js';
export { createMemoryTaskStorage, type MemoryTaskStorageOptions } from './storage/memory/index.js';
export { getTaskStorageToken, InjectTaskStorage } from './storage/inject-task-storage.js';
export {
  TaskStorageModule,
  type TaskStorageAsyncOptions,
  type TaskStorageOptionsFactory,
  type TaskStorageRegistration,
} from './storage/task-storage.module.js';
export type {
  MemoryBackendOptions,
  PostgresBackendOptions,
  TaskStorageModuleOptions,
} from './storage/task-storage-options.js';
export { systemClock, type Clock } from './task/clock.js';
export * from './task/errors.js';
export type { JsonObject, JsonValue } from './task/json.js';
export type { ListEventsOptions, NewTaskEvent, TaskEvent } from './task/task-event.js';
export {
  ACTIVE_STATUSES,
  isTerminal,
  TERMINAL_STATUSES,
  type TerminalStatus,
} from './task/task-lifecycle.js';
export type { TaskChange, TaskChanges } from './task/task-change.js';
export * from './task/task-lease.js';
export * from './task/task-storage.js';
export * from './task/task.js';

/* For authors of backends: what makes all of them accept, refuse and page alike. */
export { copyJson } from './task/json.js';
export { PageTokenCodec, type PageFilter, type PagePosition } from './task/page-token.js';
export * from './task/lease-input.js';
export * from './task/options-input.js';
export * from './task/task-input.js';
export * from './task/write-guards.js';
export { MAX_INTEGER, MAX_PAGE_SIZE } from './task/value-parsers.js';
export { canStillRun, predecessorsOf, waitsInQueue } from './task/task-lifecycle.js';
