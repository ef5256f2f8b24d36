import {
  byTask,
  TERMINAL_STATUSES,
  type AuditRow,
  type EventRow,
  type Evidence,
  type TaskRow,
} from './evidence.js';

/** Every task has ended, in a way that can be explained. */
export function checkEnds({ tasks, audit, disturbances }: Evidence): string[] {
  const changesByTask = byTask(audit);
  const wasDisturbed = (taskId: string): boolean => {
    const changes = changesByTask.get(taskId) ?? [];
    const fromMs = changes.at(0)?.atMs ?? Infinity;
    const untilMs = changes.at(-1)?.atMs ?? -Infinity;
    return disturbances.some((one) => one.fromMs <= untilMs && one.untilMs >= fromMs);
  };
  return tasks.flatMap((task) => {
    const { taskId, status, finalState, attempt } = task;
    if (!TERMINAL_STATUSES.includes(status)) {
      return [`Task ${taskId} has not ended: it is ${status}`];
    }
    const violations: string[] = [];
    if (task.leaseOwner !== null) {
      violations.push(`Task ${taskId} is ${status} and still held by ${task.leaseOwner}`);
    }
    if (status === 'error' && finalState !== 'interrupted') {
      violations.push(`Task ${taskId} failed with ${finalState}, which nothing in the test causes`);
    }
    if (status === 'finished' && task.result !== `attempt ${Math.max(attempt, 1)} done`) {
      violations.push(
        `Task ${taskId} finished in attempt ${attempt} with the result "${task.result}"`,
      );
    }
    if ((status === 'error' || attempt > 1) && !wasDisturbed(taskId)) {
      violations.push(`Task ${taskId} was taken from a replica though none was disturbed`);
    }
    return violations;
  });
}

/** An end is never changed; versions and attempts only grow, and each new holder is an attempt. */
export function checkAudit({ audit }: Evidence): string[] {
  return audit.flatMap((change) => checkChange(change));
}

function checkChange({ taskId, atMs, before, after }: AuditRow): string[] {
  if (after === null) {
    return [`Task ${taskId} was deleted at ${atMs}`];
  }
  if (before === null) {
    return [];
  }
  const violations: string[] = [];
  if (TERMINAL_STATUSES.includes(before.status)) {
    violations.push(
      after.status === before.status
        ? `Task ${taskId} was ${before.status} and changed at ${atMs}`
        : `Task ${taskId} was ${before.status} and became ${after.status} at ${atMs}`,
    );
  }
  if (after.version < before.version || after.attempt < before.attempt) {
    violations.push(`The version or attempt of task ${taskId} went back at ${atMs}`);
  }
  if (after.status !== before.status && after.version === before.version) {
    violations.push(
      `Task ${taskId} became ${after.status} at ${atMs} and kept version ${before.version}`,
    );
  }
  const isTakenOver =
    before.leaseOwner !== null &&
    after.leaseOwner !== null &&
    after.leaseOwner !== before.leaseOwner;
  if (isTakenOver && after.attempt <= before.attempt) {
    violations.push(
      `Task ${taskId} went from ${before.leaseOwner} to ${after.leaseOwner} at ${atMs} within attempt ${before.attempt}`,
    );
  }
  return violations;
}

/** The log of each task has no gap, ends with its one end, and has each step once, in order. */
export function checkEvents({ tasks, events }: Evidence): string[] {
  const eventsByTask = byTask(events);
  return tasks.flatMap((task) => {
    const log = eventsByTask.get(task.taskId) ?? [];
    return [...checkSequences(task, log), ...checkEndEvent(task, log), ...checkSteps(task, log)];
  });
}

function checkSequences({ taskId, lastEventSequence }: TaskRow, log: readonly EventRow[]) {
  const violations: string[] = [];
  const gap = log.findIndex(({ sequence }, index) => sequence !== index + 1);
  if (gap !== -1) {
    violations.push(
      `The log of task ${taskId} has sequence ${log[gap]?.sequence} where ${gap + 1} belongs`,
    );
  }
  if (log.length !== lastEventSequence) {
    violations.push(
      `Task ${taskId} counts ${lastEventSequence} events; its log has ${log.length} of them`,
    );
  }
  return violations;
}

function checkEndEvent({ taskId, status }: TaskRow, log: readonly EventRow[]): string[] {
  const ends = log.filter((event) => TERMINAL_STATUSES.includes(event.status ?? ''));
  if (TERMINAL_STATUSES.includes(status) && (ends.length !== 1 || log.at(-1) !== ends[0])) {
    const found = ends.map((end) => `${end.stage} (${end.sequence})`).join(', ') || 'none';
    return [`The log of task ${taskId} should end with its one end; it has ${found}`];
  }
  return ends
    .filter((end) => end.status !== status)
    .map((end) => `Task ${taskId} is ${status}; its log says ${end.status}`);
}

function checkSteps(task: TaskRow, log: readonly EventRow[]): string[] {
  let lastAttempt = 0;
  let lastStep = 0;
  let isTakenOver = false;
  for (const { stage, sequence } of log) {
    isTakenOver ||= stage === 'resuming';
    const [, attempt, step] = /^attempt (\d+) step (\d+)$/.exec(stage) ?? [];
    if (attempt === undefined) {
      continue;
    }
    const isNext = !isTakenOver && Number(attempt) === lastAttempt && Number(step) === lastStep + 1;
    const isNewAttempt = Number(attempt) > lastAttempt && Number(step) === 1;
    if (!isNext && !isNewAttempt) {
      return [
        `The log of task ${task.taskId} has "${stage}" (${sequence}) after attempt ${lastAttempt} step ${lastStep}${isTakenOver ? ' and another attempt' : ''}`,
      ];
    }
    isTakenOver = false;
    lastAttempt = Number(attempt);
    lastStep = Number(step);
  }
  const steps = Number(/^work (\d+) steps/.exec(task.query)?.[1]);
  const isWhole = lastStep === steps && lastAttempt === Math.max(task.attempt, 1);
  return task.status === 'finished' && !isWhole
    ? [
        `Task ${task.taskId} finished in attempt ${task.attempt} after attempt ${lastAttempt} step ${lastStep} of ${steps}`,
      ]
    : [];
}
