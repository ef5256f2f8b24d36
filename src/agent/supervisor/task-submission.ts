import { isPlainObject, type JsonObject } from '../../task/json.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import type { TaskOperations } from '../../task/task-storage.js';
import type { NewTask, Task } from '../../task/task.js';
import { AgentError, InvalidRequestError } from '../agent-errors.js';
import type { RedactionRules } from '../redaction/redaction-rules.js';
import { storableJson } from '../storable-text.js';
import { newTaskTenantOf, type TaskScope } from '../task-scope.js';
import { sandboxInfoOf, type RunAgentInstruction } from '../wire/agent-requests.js';
import { MASK } from '../wire/secrets.js';
import { isTaskId } from '../wire/task-id.js';
import {
  hasSecrets,
  timeoutSecondsOf,
  toPreviousTask,
  withoutSecrets,
  type JobSources,
  type TaskJob,
} from './task-job.js';

const DEFAULT_MAX_STEPS = 50;

/** A request, made into what is stored of it and what is run of it. */
export interface TaskSubmission {
  readonly newTask: NewTask;
  readonly job: TaskJob;
}

/** Whether another process may have to run the task. */
export interface Sharing {
  /** The task is queued, for whichever process has room. */
  readonly isQueued: boolean;
  /** How many attempts the task may take, of whichever process. */
  readonly maxAttempts: number;
}

/** What is stored of a request, without its secrets. */
export function storedRequest(request: RunAgentInstruction, redaction: RedactionRules): JsonObject {
  return withoutSecrets(storableJson(request, 'request'), redaction);
}

/** What a request says of its sandbox, without what rules cover there. */
function storedSandbox(
  { sandbox }: RunAgentInstruction,
  redaction: RedactionRules,
): JsonObject | null {
  const info = sandboxInfoOf(sandbox);
  if (info === null) {
    return null;
  }
  const { shape_name: shapeName = '', ...named } = info;
  const redacted = redaction.redact('requestData', { sandbox: { ...named, shapeName } })['sandbox'];
  if (!isPlainObject(redacted)) {
    return { id: MASK, os: MASK, shape_name: MASK };
  }
  const { shapeName: storedShapeName = MASK, ...stored } = redacted;
  return { ...stored, shape_name: storedShapeName };
}

/**
 * @throws {AgentError} when the task that it continues does not exist, is another tenant's or has not
 *   ended, or when it is to be queued and has secrets that cannot be stored
 * @throws {InvalidRequestError} when it names another sandbox than the task that it continues
 */
export async function prepareSubmission(
  scope: TaskScope,
  taskId: string,
  request: RunAgentInstruction,
  { globalConfig, keyRing, redaction }: Omit<JobSources, 'storage'>,
  { isQueued, maxAttempts }: Sharing,
): Promise<TaskSubmission> {
  const tenantId = newTaskTenantOf(scope);
  const previous = await findPrevious(request, scope.tasks, tenantId);
  const runningConfig = await globalConfig.effectiveFor(request.runningConfig);
  const effective = storableJson({ ...request, runningConfig }, 'request');
  const isShared = isQueued || maxAttempts > 1;
  const mayBeShared = keyRing !== null || !hasSecrets(effective, redaction);
  const attempts = mayBeShared ? maxAttempts : 1;
  if (isQueued && !mayBeShared) {
    throw new AgentError(
      'SECRETS_NOT_STORABLE',
      'The request carries secrets, and a queued request is stored until a replica has room for it; set TASK_STORAGE_ENCRYPTION_KEYS, so that they are stored encrypted, or send the request without them',
    );
  }
  const sandboxInfo = storedSandbox(request, redaction) ?? previous?.sandboxInfo;
  const maxSteps = runningConfig.steps ?? DEFAULT_MAX_STEPS;
  return {
    newTask: {
      taskId,
      tenantId,
      query: request.instruction,
      maxSteps,
      sandboxInfo: sandboxInfo && redaction.redact('sandboxInfo', sandboxInfo),
      requestData: storedRequest(request, redaction),
      sealedRequest:
        isShared && keyRing !== null ? keyRing.seal(JSON.stringify(effective), taskId) : null,
      maxAttempts: attempts,
    },
    job: {
      taskId,
      tenantId,
      instruction: request.instruction,
      maxSteps,
      timeoutSeconds: timeoutSecondsOf(runningConfig),
      request: effective,
      previous: previous && toPreviousTask(previous.taskId, previous),
      attempt: 1,
      maxAttempts: attempts,
      isStarted: false,
      lastEventSequence: 1,
      saved: {},
    },
  };
}

async function findPrevious(
  { previousTaskId, sandbox }: RunAgentInstruction,
  tasks: TaskOperations,
  tenantId: string,
): Promise<Task | null> {
  if (previousTaskId === undefined) {
    return null;
  }
  const previous = isTaskId(previousTaskId) ? await tasks.getTask(previousTaskId) : null;
  if (previous === null) {
    throw new AgentError(
      'TASK_NOT_FOUND',
      `The previous task ${previousTaskId} does not exist; leave out previousTaskId to start afresh`,
    );
  }
  if (previous.tenantId !== tenantId) {
    // The new task would show the conversation and the sandbox of the one tenant to the other.
    throw new AgentError(
      'PERMISSION_DENIED',
      `The previous task ${previousTaskId} belongs to the tenant ${previous.tenantId}, and what this caller starts to ${tenantId}; use a token of ${previous.tenantId}`,
    );
  }
  if (!isTerminal(previous.status)) {
    throw new AgentError(
      'TASK_NOT_ENDED',
      `The previous task ${previousTaskId} is ${previous.status}; wait for its end, or cancel it`,
    );
  }
  const previousSandboxId = sandboxIdOf(previous.sandboxInfo);
  if (sandbox?.id !== undefined && previousSandboxId !== null && sandbox.id !== previousSandboxId) {
    throw new InvalidRequestError(
      'sandbox.id',
      `is not the sandbox of the previous task; write ${previousSandboxId}, or leave it out`,
    );
  }
  return previous;
}

/** @returns `null` when it is not known */
function sandboxIdOf(sandboxInfo: JsonObject | null): string | null {
  const id = sandboxInfo?.['id'];
  return typeof id === 'string' && id !== '' && id !== MASK ? id : null;
}
