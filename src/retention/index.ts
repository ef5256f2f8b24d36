/*
 * Deleting ended tasks when they are old enough. Needs `@nestjs/schedule` and `cron`.
 */
export type { RetentionOptions } from './retention-options.js';
export type { RetentionOutcome, RetentionReport } from './retention-report.js';
export { RETENTION_JOB_NAME } from './retention-scheduler.js';
export { RetentionModule, type RetentionModuleAsyncOptions } from './retention.module.js';
export { TaskCleanupService } from './task-cleanup.service.js';
