import { TERMINAL_STATUSES, type AuditedState, type Evidence } from './evidence.js';

/** Whether a task takes up a place under the limit. */
function takesPlace(state: AuditedState | null, { mode }: Evidence): boolean {
  if (state === null || TERMINAL_STATUSES.includes(state.status)) {
    return false;
  }
  // Where a full service refuses, what waits has been admitted; in a queue it is yet to be.
  return mode === 'reject' || state.status === 'running' || state.leaseOwner !== null;
}

/** Replays all changes: the limit holds at any time. Says each time that it did not. */
export function checkLimit(evidence: Evidence): string[] {
  const active = new Set<string>();
  const violations: string[] = [];
  for (const { atMs, taskId, after } of evidence.audit) {
    if (!takesPlace(after, evidence)) {
      active.delete(taskId);
    } else if (!active.has(taskId)) {
      active.add(taskId);
      if (active.size > evidence.maxTasks) {
        violations.push(
          `At ${atMs} task ${taskId} made ${active.size} active tasks; the limit is ${evidence.maxTasks}`,
        );
      }
    }
  }
  return violations;
}
