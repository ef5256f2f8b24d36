import { status, type ServiceError } from '@grpc/grpc-js';
import { errorInfoOf, ServiceClient, type Message } from '../support/agent-clients.js';
import type { CallAnswer, CallLog } from './call-log.js';
import type { CallOutcome } from './records.js';
import { ANSWER_LIMITS_MS } from './world.js';

/** The longest that each operation may take. */
const LIMITS_MS = {
  QueryTaskStatus: ANSWER_LIMITS_MS.single,
  ListTasks: ANSWER_LIMITS_MS.single,
  DeleteTask: ANSWER_LIMITS_MS.single,
  SetGlobalCommonConfig: ANSWER_LIMITS_MS.pair,
  CancelTask: ANSWER_LIMITS_MS.cancellation,
  RunAgentInstructionAsync: ANSWER_LIMITS_MS.submission,
} as const;

type Operation = keyof typeof LIMITS_MS;

/** What a fault excuses: that nothing was done, and why. */
const REFUSALS = new Set(['UNAVAILABLE', 'LIMIT_REACHED', 'CONFLICT', 'ILLEGAL_TRANSITION']);
const UNKNOWN = 'OUTCOME_UNKNOWN';

/** What became of a call. */
export interface CallResult extends CallAnswer {
  /** Why it failed, as the error says it. */
  readonly reason: string;
  readonly answer: Message | null;
}

/** A gRPC client that keeps what it was told, and for how long it waited. */
export class RecordingClient {
  readonly #agent: ServiceClient;
  readonly #tasks: ServiceClient;

  /** @param patienceMs after so long a call counts as hung */
  constructor(
    address: string,
    private readonly log: CallLog,
    private readonly patienceMs: number,
  ) {
    this.#agent = new ServiceClient('lybic.agent.Agent', address);
    this.#tasks = new ServiceClient('nestjs_task_storage.v1.TaskService', address);
  }

  async agent(
    method: Operation,
    request: object,
    isWrite: boolean,
    key?: string,
  ): Promise<CallResult> {
    const headers = key === undefined ? {} : { 'idempotency-key': key };
    return this.#record(
      method,
      isWrite,
      async (deadline) => this.#agent.begin(method, request, headers, { deadline }).answer,
    );
  }

  async tasks(method: Operation, request: object, isWrite: boolean): Promise<CallResult> {
    return this.#record(
      method,
      isWrite,
      async (deadline) => this.#tasks.begin(method, request, {}, { deadline }).answer,
    );
  }

  close(): void {
    this.#agent.close();
    this.#tasks.close();
  }

  async #record(
    operation: Operation,
    isWrite: boolean,
    call: (deadline: number) => Promise<Message>,
  ): Promise<CallResult> {
    const limitMs = LIMITS_MS[operation];
    return this.log.record({ operation, through: 'service', isWrite, limitMs }, async () =>
      call(Date.now() + this.patienceMs).then(
        (answer): CallResult => ({ outcome: 'acknowledged', reason: '', detail: '', answer }),
        (error: ServiceError) => failureOf(error),
      ),
    );
  }
}

function failureOf(error: ServiceError): CallResult {
  const hasDetails = error.metadata.get('grpc-status-details-bin').length > 0;
  const reason = hasDetails ? errorInfoOf(error).reason : '';
  const detail = `${status[error.code]} ${reason} ${error.details}`;
  return { outcome: outcomeOf(error.code, reason), reason, detail, answer: null };
}

function outcomeOf(code: status, reason: string): CallOutcome {
  if (code === status.DEADLINE_EXCEEDED) {
    return 'hung';
  }
  if (reason === UNKNOWN) {
    return 'unknown';
  }
  return REFUSALS.has(reason) ? 'refused' : 'untyped';
}
