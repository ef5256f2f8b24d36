import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../task/json.js';
import { isTerminal } from '../../task/task-lifecycle.js';
import type { TaskStorage } from '../../task/task-storage.js';
import type { NewTask, Task } from '../../task/task.js';
import { AgentError, InvalidRequestError } from '../agent-errors.js';
import type { GlobalConfig } from '../global-config/global-config.js';
import { storableJson } from '../storable-text.js';
import { sandboxInfoOf, type RunAgentInstruction } from '../wire/agent-requests.js';
import { maskRequest } from '../wire/secrets.js';
import { isTaskId } from '../wire/task-id.js';
import type { TaskJob } from './task-run.js';

const DEFAULT_MAX_STEPS = 50;
const DEFAULT_TIMEOUT_SECONDS = 3600;

/** A request, made into what is stored of it and what is run of it. */
export interface TaskSubmission {
  readonly newTask: NewTask;
  readonly job: TaskJob;
}

/**
 * @throws {AgentError} when the task that it continues does not exist or has not ended
 * @throws {InvalidRequestError} when it names another sandbox than the task that it continues
 */
export async function prepareSubmission(
  request: RunAgentInstruction,
  storage: TaskStorage,
  globalConfig: GlobalConfig,
): Promise<TaskSubmission> {
  const previous = await findPrevious(request, storage);
  const runningConfig = await globalConfig.effectiveFor(request.runningConfig);
  const maxSteps = runningConfig.steps ?? DEFAULT_MAX_STEPS;
  const taskId = randomUUID();
  return {
    newTask: {
      taskId,
      query: request.instruction,
      maxSteps,
      sandboxInfo: sandboxInfoOf(request.sandbox) ?? previous?.sandboxInfo,
      requestData: maskRequest(storableJson(request, 'request')),
    },
    job: {
      taskId,
      instruction: request.instruction,
      maxSteps,
      timeoutSeconds: runningConfig.taskTimeout ?? DEFAULT_TIMEOUT_SECONDS,
      request: storableJson({ ...request, runningConfig }, 'request'),
      previous: previous && {
        taskId: previous.taskId,
        conversationHistory: previous.conversationHistory,
        sandboxInfo: previous.sandboxInfo,
      },
    },
  };
}

async function findPrevious(
  { previousTaskId, sandbox }: RunAgentInstruction,
  storage: TaskStorage,
): Promise<Task | null> {
  if (previousTaskId === undefined) {
    return null;
  }
  const previous = isTaskId(previousTaskId) ? await storage.getTask(previousTaskId) : null;
  if (previous === null) {
    throw new AgentError(
      'TASK_NOT_FOUND',
      `The previous task ${previousTaskId} does not exist; leave out previousTaskId to start afresh`,
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

function sandboxIdOf(sandboxInfo: JsonObject | null): string | null {
  const id = sandboxInfo?.['id'];
  return typeof id === 'string' && id !== '' ? id : null;
}
