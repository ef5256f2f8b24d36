/*
 * What a run of the cluster test leaves behind, as plain records: what the database says, what each
 * client saw, what the programs wrote themselves. Times are milliseconds of the wall clock.
 */

/** A full service refuses a task, or lets it wait: `TASK_WHEN_FULL`. */
export type ClusterMode = 'reject' | 'queue';

/** A row of `agent_tasks`. */
export interface TaskRow {
  readonly taskId: string;
  /** The instruction. */
  readonly query: string;
  readonly status: string;
  readonly finalState: string | null;
  readonly result: string | null;
  readonly leaseOwner: string | null;
  readonly attempt: number;
  readonly lastEventSequence: number;
}

/** A row of `agent_tasks_events`. */
export interface EventRow {
  readonly taskId: string;
  readonly sequence: number;
  readonly stage: string;
  readonly message: string;
  readonly status: string | null;
  /** For those who look for a cause; it is of the beginning of the transaction. */
  readonly atMs: number;
}

/** What a row of `agent_tasks` said that a change is about. */
export interface AuditedState {
  readonly status: string;
  readonly leaseOwner: string | null;
  readonly attempt: number;
  readonly version: number;
}

/** One change of one row of `agent_tasks`, as the trigger saw it. */
export interface AuditRow {
  readonly id: number;
  readonly atMs: number;
  readonly taskId: string;
  /** `null` when the row was inserted. */
  readonly before: AuditedState | null;
  /** `null` when the row was deleted. */
  readonly after: AuditedState | null;
}

/** A line that the agent program wrote to its own log. */
export interface RunLogLine {
  readonly taskId: string;
  readonly attempt: number;
  readonly pid: number;
  readonly kind: 'start' | 'beat' | 'end';
  readonly atMs: number;
}

/** A task that a client submitted, however often it had to ask. */
export interface SubmissionRecord {
  readonly instruction: string;
  /** Every id that was answered, in order; of one submission all must be the same. */
  readonly taskIds: readonly string[];
}

/** An event as a client saw it. */
export interface SeenEvent {
  /** `null` where the call does not tell it. */
  readonly sequence: number | null;
  readonly stage: string;
  readonly message: string;
}

/** What one call streamed. */
export interface SeenStream {
  readonly events: readonly SeenEvent[];
  /** By the service, by the client's own will, or by a lost connection. */
  readonly endedBy: 'service' | 'client' | 'loss';
}

/** What one client saw of one task. */
export interface FollowRecord {
  readonly follower: string;
  readonly taskId: string;
  /** `goes-on`: each call after the last event seen. `starts-over`: each from the first event. */
  readonly kind: 'goes-on' | 'starts-over';
  readonly streams: readonly SeenStream[];
}

/** One call of `CancelTask`. */
export interface CancelRecord {
  readonly taskId: string;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  /** `unknown`: the connection was lost before the answer. */
  readonly answer: 'cancelled' | 'refused' | 'unknown';
}

/** A time in which a replica was not itself. */
export interface Disturbance {
  /** Killed and started again, stopped for a while, or cut off from the database for a while. */
  readonly kind: 'kill' | 'stall' | 'cut-off';
  readonly replica: string;
  readonly fromMs: number;
  /** When it was back. */
  readonly untilMs: number;
}

/** All that is known of one phase. */
export interface Evidence {
  readonly mode: ClusterMode;
  readonly maxTasks: number;
  readonly tasks: readonly TaskRow[];
  readonly events: readonly EventRow[];
  readonly audit: readonly AuditRow[];
  readonly runLog: readonly RunLogLine[];
  readonly submissions: readonly SubmissionRecord[];
  readonly follows: readonly FollowRecord[];
  readonly cancels: readonly CancelRecord[];
  readonly disturbances: readonly Disturbance[];
  /** What went wrong while the phase ran, in words: answers that no client should get, time-outs. */
  readonly failures: readonly string[];
}

export const TERMINAL_STATUSES: readonly string[] = ['finished', 'error', 'cancelled'];

/** The records of each task, in their order. */
export function byTask<T extends { readonly taskId: string }>(
  records: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const record of records) {
    const group = groups.get(record.taskId);
    if (group === undefined) {
      groups.set(record.taskId, [record]);
    } else {
      group.push(record);
    }
  }
  return groups;
}
