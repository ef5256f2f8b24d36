import type { JsonObject } from './json.js';

/** Every status that a task can have, in the order of its life. */
export const TASK_STATUSES = ['pending', 'running', 'finished', 'error', 'cancelled'] as const;

/** One of {@link TASK_STATUSES}. */
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** The tenant of a task that was created without naming one. */
export const DEFAULT_TENANT_ID = 'default';

/**
 * A task as the storage holds it. Every value is a copy: changing it changes nothing stored.
 *
 * The JSON fields keep their values exactly, with two limits that JSON itself has: the order of
 * the keys of an object is not kept, and `-0` is `0`.
 */
export interface Task {
  /** Unique over all tenants; 1 to 255 characters. */
  readonly taskId: string;
  /** Whose task it is; {@link DEFAULT_TENANT_ID} when nobody said. */
  readonly tenantId: string;
  readonly status: TaskStatus;
  /** What the agent was asked to do. */
  readonly query: string;
  /** How many steps the agent may take. */
  readonly maxSteps: number;
  /** A short word for how the task ended, such as `completed` or `interrupted`. */
  readonly finalState: string | null;
  /** Where the agent keeps the files of this run, when it keeps any. */
  readonly timestampDir: string | null;
  readonly executionStatistics: JsonObject | null;
  readonly sandboxInfo: JsonObject | null;
  /** The request that created the task, with its secrets masked. */
  readonly requestData: JsonObject | null;
  /** From the name of a tool or model to the messages exchanged with it. */
  readonly conversationHistory: JsonObject | null;
  /**
   * The request with its secrets, sealed by whoever created the task; the storage cannot read it,
   * and forgets it when the task ends.
   */
  readonly sealedRequest: string | null;
  /** What the agent answered. */
  readonly result: string | null;
  /** Why the task failed, in words for the person who submitted it. */
  readonly error: string | null;
  /** Which process holds the task's lease; `null` when none does, and when the task has ended. */
  readonly leaseOwner: string | null;
  /** When the lease ends unless it is renewed; `null` when nobody holds one. */
  readonly leaseExpiresAt: Date | null;
  /**
   * How often the task was claimed: 0 when never, one more with each claim. It is the fencing token
   * of the lease.
   */
  readonly attempt: number;
  /** How many claims may run the task; a claim beyond them may only end it. */
  readonly maxAttempts: number;
  /** When the task was queued, for one that is to be claimed by whoever has room. */
  readonly queuedAt: Date | null;
  /** 1 at creation, one more with each `updateTask` and each claim. */
  readonly version: number;
  /** The sequence of the task's newest event; 0 when it has none. */
  readonly lastEventSequence: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** When the status became `running`. */
  readonly startedAt: Date | null;
  /**
   * When the status became `finished`, `error` or `cancelled`. `null` before that, and for ended
   * rows written by the original service, which does not know the column.
   */
  readonly finishedAt: Date | null;
}

/** The fields of a task that hold JSON. */
export const TASK_JSON_FIELDS = [
  'executionStatistics',
  'sandboxInfo',
  'requestData',
  'conversationHistory',
] as const;

/** The fields of a task that may be large, and that a summary leaves out. */
export const TASK_PAYLOAD_FIELDS = ['requestData', 'conversationHistory', 'sealedRequest'] as const;

/** A task without its large fields: what `getTask` and `listTasks` answer for `view: 'summary'`. */
export type TaskSummary = Omit<Task, (typeof TASK_PAYLOAD_FIELDS)[number]>;

/** What `createTask` takes. The storage sets the times, the version and the event sequence. */
export interface NewTask {
  taskId: string;
  query: string;
  /** A whole number from 1 to 2147483647. */
  maxSteps: number;
  /** `pending` (the default) or `running`. */
  status?: 'pending' | 'running' | undefined;
  /** Defaults to {@link DEFAULT_TENANT_ID}, or to the tenant of a scoped storage. */
  tenantId?: string | undefined;
  timestampDir?: string | null | undefined;
  executionStatistics?: JsonObject | null | undefined;
  sandboxInfo?: JsonObject | null | undefined;
  requestData?: JsonObject | null | undefined;
  conversationHistory?: JsonObject | null | undefined;
  sealedRequest?: string | null | undefined;
  /** How many claims may run the task: 1 (the default) to 1000. */
  maxAttempts?: number | undefined;
}

/** What `updateTask` may change. A field left out, or `undefined`, keeps its value. */
export interface TaskUpdates {
  status?: TaskStatus | undefined;
  query?: string | undefined;
  maxSteps?: number | undefined;
  finalState?: string | null | undefined;
  timestampDir?: string | null | undefined;
  executionStatistics?: JsonObject | null | undefined;
  sandboxInfo?: JsonObject | null | undefined;
  requestData?: JsonObject | null | undefined;
  conversationHistory?: JsonObject | null | undefined;
  result?: string | null | undefined;
  error?: string | null | undefined;
}
