import { isDeepStrictEqual } from 'node:util';
import { TaskStorageError } from '../../task/errors.js';
import type { JsonObject } from '../../task/json.js';
import type { TaskStorage } from '../../task/task-storage.js';
import type { Task } from '../../task/task.js';
import type { AgentProgress, PreviousTask } from '../agent-runner.js';
import type { KeyRing } from '../encryption/key-ring.js';
import type { GlobalConfig } from '../global-config/global-config.js';
import type { RedactionRules } from '../redaction/redaction-rules.js';
import { storableJson } from '../storable-text.js';
import { runAgentInstructionSchema, type RunAgentInstruction } from '../wire/agent-requests.js';
import type { CommonConfig } from '../wire/common-config.js';
import { maskRequest } from '../wire/secrets.js';
import { isTaskId } from '../wire/task-id.js';

const DEFAULT_TIMEOUT_SECONDS = 3600;

/** What a run needs to know about its task. */
export interface TaskJob {
  readonly taskId: string;
  readonly tenantId: string;
  readonly instruction: string;
  readonly maxSteps: number;
  readonly timeoutSeconds: number;
  /** The effective request, secrets included. */
  readonly request: JsonObject;
  readonly previous: PreviousTask | null;
  /** 1 for the first attempt; the fencing token of the lease. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Whether an earlier attempt has started the task. */
  readonly isStarted: boolean;
  /** The sequence of the task's newest event. */
  readonly lastEventSequence: number;
  /** What earlier attempts have saved. */
  readonly saved: AgentProgress;
}

/** A request whose configuration is made effective: its own over the global one. */
export interface EffectiveRequest extends Omit<RunAgentInstruction, 'runningConfig'> {
  readonly runningConfig: CommonConfig;
}

/** How long a task may take, by its effective configuration. */
export function timeoutSecondsOf({ taskTimeout }: CommonConfig): number {
  return taskTimeout ?? DEFAULT_TIMEOUT_SECONDS;
}

/** Whether what is stored of a request is less than the request: its secrets are missing. */
export function hasSecrets(request: JsonObject, redaction: RedactionRules): boolean {
  return !isDeepStrictEqual(withoutSecrets(request, redaction), request);
}

/** Copies a request for the storage. */
export function withoutSecrets(request: JsonObject, redaction: RedactionRules): JsonObject {
  return redaction.redact('requestData', maskRequest(request));
}

/** What jobs are restored with. */
export interface JobSources {
  readonly storage: TaskStorage;
  readonly globalConfig: GlobalConfig;
  /** `null` when requests are not sealed. */
  readonly keyRing: KeyRing | null;
  readonly redaction: RedactionRules;
}

/**
 * Makes the job of a task that was claimed, from what is stored of it.
 *
 * @throws {TaskStorageError} `CORRUPT` when what is stored is not a request
 * @throws {SealedTextError} when the sealed request cannot be opened with the keys of this process
 */
export async function restoreJob(task: Task, sources: JobSources): Promise<TaskJob> {
  const request = await restoreRequest(task, sources);
  const { previousTaskId } = request;
  const { conversationHistory, executionStatistics, sandboxInfo } = task;
  return {
    taskId: task.taskId,
    tenantId: task.tenantId,
    instruction: task.query,
    maxSteps: task.maxSteps,
    timeoutSeconds: timeoutSecondsOf(request.runningConfig),
    request: storableJson(request, 'request'),
    previous:
      previousTaskId === undefined ? null : await readPrevious(previousTaskId, sources.storage),
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    isStarted: task.status === 'running',
    lastEventSequence: task.lastEventSequence,
    saved: {
      ...(conversationHistory !== null && { conversationHistory }),
      ...(executionStatistics !== null && { executionStatistics }),
      ...(sandboxInfo !== null && { sandboxInfo }),
    },
  };
}

async function restoreRequest(
  { taskId, sealedRequest, requestData }: Task,
  { keyRing, globalConfig }: JobSources,
): Promise<EffectiveRequest> {
  if (sealedRequest === null) {
    const request = parseStored(taskId, requestData);
    return { ...request, runningConfig: await globalConfig.effectiveFor(request.runningConfig) };
  }
  if (keyRing === null) {
    throw new TaskStorageError(
      'MISCONFIGURED',
      `The request of task ${taskId} is sealed; set TASK_STORAGE_ENCRYPTION_KEYS to the keys of the other replicas`,
    );
  }
  const request = parseStored(taskId, JSON.parse(keyRing.open(sealedRequest, taskId)));
  return { ...request, runningConfig: request.runningConfig ?? {} };
}

function parseStored(taskId: string, stored: unknown): RunAgentInstruction {
  const parsed = runAgentInstructionSchema.safeParse(stored);
  if (!parsed.success) {
    throw new TaskStorageError('CORRUPT', `The stored request of task ${taskId} is not a request`, {
      cause: parsed.error,
    });
  }
  return parsed.data;
}

/** The submission has found it in the scope of its caller. */
async function readPrevious(taskId: string, storage: TaskStorage): Promise<PreviousTask> {
  return toPreviousTask(taskId, isTaskId(taskId) ? await storage.getTask(taskId) : null);
}

/** @param previous `null` when it was deleted while the task that continues it waited */
export function toPreviousTask(taskId: string, previous: Task | null): PreviousTask {
  return {
    taskId,
    conversationHistory: previous?.conversationHistory ?? null,
    sandboxInfo: previous?.sandboxInfo ?? null,
  };
}
