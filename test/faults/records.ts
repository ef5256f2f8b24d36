/** What a client knows of what became of a call. */
export type CallOutcome =
  | 'acknowledged'
  /** A typed error that says that nothing was changed. */
  | 'refused'
  /** A typed error that says that nobody knows. */
  | 'unknown'
  /** An error that does not say which of both, or none of the errors that a fault excuses. */
  | 'untyped'
  /** No answer within the patience of the client. */
  | 'hung';

/** Which way a call took: through the service, or through a storage with a pool of its own. */
export type CallPath = 'service' | 'storage';

export const CALL_PATHS: readonly CallPath[] = ['service', 'storage'];

/** One call of one client. */
export interface CallRecord {
  readonly operation: string;
  readonly through: CallPath;
  readonly isWrite: boolean;
  readonly outcome: CallOutcome;
  /** What the error said, in words; empty when there was none. */
  readonly detail: string;
  /** On the monotonic clock of the clients. */
  readonly startedMs: number;
  /** Without the time that the machine stood still. */
  readonly durationMs: number;
  /** The longest that the configured time-outs allow for it. */
  readonly limitMs: number;
}

/** All that one client did to have one task. */
export interface SubmissionRecord {
  /** Unlike that of any other task. */
  readonly instruction: string;
  readonly outcomes: CallOutcome[];
  /** The ids in the answers, which are to be one. */
  readonly taskIds: Set<string>;
}

/** A write to one thing that a client knows by name. */
export interface WriteRecord {
  readonly name: string;
  readonly outcome: CallOutcome;
}

/** An event that was appended to a task through the storage itself. */
export interface AppendRecord extends WriteRecord {
  readonly taskId: string;
}

/** A value of the global configuration, in the order of the writes. */
export interface ConfigRecord {
  readonly steps: number;
  readonly outcome: CallOutcome;
}

/** All that the clients know. */
export interface ClientRecords {
  readonly calls: CallRecord[];
  readonly submissions: SubmissionRecord[];
  /** By the id of the task. */
  readonly cancels: WriteRecord[];
  readonly deletes: WriteRecord[];
  readonly configs: ConfigRecord[];
  readonly appends: AppendRecord[];
  /** Tasks that were acknowledged, not deleted, and said not to exist. */
  readonly denied: string[];
}

/** A task as the database holds it at the end. */
export interface StoredTask {
  readonly taskId: string;
  readonly query: string;
  readonly status: string;
  readonly events: readonly StoredEvent[];
}

export interface StoredEvent {
  readonly sequence: number;
  readonly stage: string;
}

/** What the database holds at the end. */
export interface FinalState {
  readonly tasks: readonly StoredTask[];
  /** `steps` of the global configuration; `null` when it was never set. */
  readonly configSteps: number | null;
}

/** One fault, and how the service bore it. */
export interface FaultRecord {
  readonly kind: string;
  /** Whether the database could not be reached or written meanwhile. */
  readonly isOutage: boolean;
  /** On the monotonic clock of the clients. */
  readonly startedMs: number;
  readonly overMs: number;
  /** For how much of it the tests stood still; nobody can notice a fault then. */
  readonly stalledMs: number;
  /** From the end of the fault until a write was acknowledged on each path and health said SERVING. */
  readonly recoveryMs: number | null;
  readonly wasNotServing: boolean;
  readonly rssBytes: number;
  /** What the fault itself has to say, such as how many connections it has cut. */
  readonly problems: readonly string[];
}

/** Everything that a run has shown. */
export interface Evidence {
  readonly records: ClientRecords;
  readonly final: FinalState;
  readonly faults: readonly FaultRecord[];
  /** Lines of the service's output that no fault excuses, and its end. */
  readonly crashes: readonly string[];
  /** Whether every client could settle what it did not know, and stop. */
  readonly isSettled: boolean;
  /** For how long the tests stood still in all. */
  readonly stalledMs: number;
  readonly stopTookMs: number;
}

/** What a run is held to. */
export interface Limits {
  readonly recoveryMs: number;
  readonly stopMs: number;
  /** How long health may take to say NOT_SERVING. */
  readonly noticeMs: number;
  /** How much more memory the last third of the faults may take than any before. */
  readonly memoryGrowthBytes: number;
}

export function newClientRecords(): ClientRecords {
  return {
    calls: [],
    submissions: [],
    cancels: [],
    deletes: [],
    configs: [],
    appends: [],
    denied: [],
  };
}

/** Whether a write on that path that was begun in that time has been acknowledged. */
export function hasWrittenBetween(
  { calls }: ClientRecords,
  path: CallPath,
  sinceMs: number,
  untilMs = Infinity,
): boolean {
  return calls.some(
    ({ through, isWrite, outcome, startedMs }) =>
      through === path &&
      isWrite &&
      outcome === 'acknowledged' &&
      startedMs >= sinceMs &&
      startedMs < untilMs,
  );
}
