export { createMemoryTaskStorage, type MemoryTaskStorageOptions } from './memory-task-storage.js';
