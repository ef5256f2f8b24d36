import type { NewTaskEvent } from '../../task/task-event.js';
import type {
  ClaimExpiredOptions,
  ClaimQueuedOptions,
  RenewLeasesOptions,
} from '../../task/task-lease.js';
import type {
  CleanupOptions,
  CreateTaskOptions,
  ListTasksOptions,
  TaskView,
} from '../../task/task-storage.js';
import type { NewTask, TaskUpdates } from '../../task/task.js';

/** Who calls: a tenant, or `null` for a caller who sees all of them. */
export type Caller = string | null;

/** A guard by lease: the one that is held, or one that is wrong in one way. */
export type LeaseGuard = 'held' | 'of another owner' | 'of another attempt';

/** One call, as plain data, so that a failing sequence can be read. */
export type Operation = { readonly caller: Caller } & (
  | {
      readonly kind: 'create';
      readonly task: NewTask;
      readonly options: CreateTaskOptions & { readonly events: NewTaskEvent[] };
    }
  | {
      readonly kind: 'update';
      readonly taskId: string;
      readonly updates: TaskUpdates;
      readonly events: NewTaskEvent[];
      /** How far from the stored version the expected one is; `undefined` expects none. */
      readonly versionOffset: number | undefined;
      readonly guard: LeaseGuard | undefined;
    }
  | {
      readonly kind: 'append';
      readonly taskId: string;
      readonly events: NewTaskEvent[];
      readonly guard: LeaseGuard | undefined;
    }
  | { readonly kind: 'claimQueued'; readonly options: ClaimQueuedOptions }
  | { readonly kind: 'claimExpired'; readonly options: ClaimExpiredOptions }
  | { readonly kind: 'renew'; readonly options: RenewLeasesOptions }
  | { readonly kind: 'delete'; readonly taskId: string }
  | { readonly kind: 'get'; readonly taskId: string; readonly view: TaskView | undefined }
  | { readonly kind: 'list'; readonly options: ListTasksOptions }
  | { readonly kind: 'pages'; readonly options: ListTasksOptions; readonly pageSize: number }
  | {
      readonly kind: 'listEvents';
      readonly taskId: string;
      readonly afterSequence: number;
      readonly limit: number;
    }
  | { readonly kind: 'count' }
  | { readonly kind: 'cleanup'; readonly days: number; readonly options: CleanupOptions }
  | { readonly kind: 'passDays'; readonly days: number }
);

/** Few ids, so that operations meet. Their order by code point differs from that by UTF-16 unit. */
export const TASK_IDS = ['a', 'B', '\u{1F98A}', '\uFB00', '__proto__'] as const;

/** Everybody who calls. */
export const CALLERS: readonly Caller[] = [null, 'default', 'one'];
