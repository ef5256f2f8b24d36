export { describeTaskStorage } from './describe-task-storage.js';
export type { TaskStorageCapabilities, TaskStorageFactory, TaskStorageHarness } from './harness.js';
export type { TestApi } from './test-api.js';
