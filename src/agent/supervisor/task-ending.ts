import type { TerminalStatus } from '../../task/task-lifecycle.js';
import type { AgentOutcome } from '../agent-runner.js';
import type { RunLimits } from '../limits/agent-limits.js';
import { storableText, storableWord } from '../storable-text.js';
import { DEFAULT_FINAL_STATE } from '../task-messages.js';
import { storableProgress, type TaskProgress } from './task-progress.js';

const MAX_FINAL_STATE_CHARACTERS = 50;

/** How a run ends; the fields of the task that say so. */
export interface TaskEnding {
  readonly status: TerminalStatus;
  readonly finalState: string;
  readonly result: string | null;
  readonly error: string | null;
  readonly progress: TaskProgress;
}

/** The runner returned. */
export function finished(
  outcome: AgentOutcome,
  limits: Pick<RunLimits, 'maxFieldBytes'>,
  onDropped: (problem: string) => void,
): TaskEnding {
  const finalState = storableWord(outcome.finalState ?? '', MAX_FINAL_STATE_CHARACTERS);
  return {
    status: 'finished',
    finalState: finalState === '' ? DEFAULT_FINAL_STATE : finalState,
    result: typeof outcome.result === 'string' ? storableText(outcome.result) : null,
    error: null,
    progress: storableProgress(outcome, limits, onDropped),
  };
}

function endedBadly(finalState: string, error: string): TaskEnding {
  return { status: 'error', finalState, result: null, error, progress: {} };
}

/** The runner failed. */
export function failed(reason: unknown): TaskEnding {
  const message = reason instanceof Error ? reason.message : String(reason);
  const text = storableText(message).trim();
  return endedBadly('failed', text === '' ? 'The agent failed and gave no reason.' : text);
}

/** The task took too long. */
export function timedOut(limitSeconds: number): TaskEnding {
  return endedBadly(
    'timeout',
    `The task was stopped because it took longer than its limit of ${limitSeconds} seconds.`,
  );
}

/** The process that ran the task is gone. */
export function lost(replica: string): TaskEnding {
  return endedBadly(
    'interrupted',
    `The task was interrupted because the replica ${replica} that ran it was lost.`,
  );
}

/** A task that nobody holds has been running without a sign of life. */
export function stale(minutes: number): TaskEnding {
  return endedBadly(
    'interrupted',
    `The task was interrupted because nobody has updated it for ${minutes} minutes.`,
  );
}

/** The service stopped before the task had ended. */
export function interrupted(): TaskEnding {
  return endedBadly(
    'interrupted',
    'The task was interrupted because the service was stopped before it had ended.',
  );
}

/** Somebody asked for it. */
export function cancelled(): TaskEnding {
  return { status: 'cancelled', finalState: 'cancelled', result: null, error: null, progress: {} };
}
