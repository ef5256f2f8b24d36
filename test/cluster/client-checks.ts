import {
  byTask,
  type EventRow,
  type Evidence,
  type FollowRecord,
  type SeenEvent,
} from './evidence.js';

/** Every task was submitted once, and every answered id is known. */
export function checkSubmissions({ submissions, tasks }: Evidence): string[] {
  const taskById = new Map(tasks.map((task) => [task.taskId, task]));
  const answeredIds = new Set(submissions.flatMap(({ taskIds }) => taskIds));
  const violations = submissions.flatMap(({ instruction, taskIds }) => {
    const ids = [...new Set(taskIds)];
    if (ids.length !== 1) {
      return [`"${instruction}" was answered with ${ids.length} ids: ${ids.join(', ')}`];
    }
    return ids
      .filter((taskId) => taskById.get(taskId)?.query !== instruction)
      .map((taskId) =>
        taskById.has(taskId)
          ? `Task ${taskId} is not "${instruction}", which was answered with its id`
          : `Task ${taskId} was answered to a client and does not exist`,
      );
  });
  const strangers = tasks
    .filter(({ taskId }) => !answeredIds.has(taskId))
    .map(({ taskId, query }) => `Task ${taskId} ("${query}") exists and no client knows it`);
  return [...violations, ...strangers];
}

/** Who was told that a task is cancelled finds it so, and nothing is cancelled by itself. */
export function checkCancels({ cancels, tasks }: Evidence): string[] {
  const statusById = new Map(tasks.map(({ taskId, status }) => [taskId, status]));
  const askedIds = new Set(cancels.map(({ taskId }) => taskId));
  return [
    ...cancels
      .filter(({ taskId, answer }) => answer === 'cancelled' && statusById.get(taskId) !== answer)
      .map(
        ({ taskId, answeredAtMs }) =>
          `The cancel of task ${taskId} was acknowledged at ${answeredAtMs}; it is ${statusById.get(taskId)}`,
      ),
    ...tasks
      .filter(({ taskId, status }) => status === 'cancelled' && !askedIds.has(taskId))
      .map(({ taskId }) => `Task ${taskId} is cancelled and nobody asked for it`),
  ];
}

/** What each client saw is the log of its task from the first event on, to the end. */
export function checkFollows({ follows, events }: Evidence): string[] {
  const eventsByTask = byTask(events);
  return follows.flatMap((follow) => {
    const log = eventsByTask.get(follow.taskId) ?? [];
    const { streams } = follow;
    const joined =
      follow.kind === 'goes-on'
        ? [streams.flatMap((stream) => stream.events)]
        : streams.map((stream) => stream.events);
    return [
      ...joined.flatMap((seen) => compare(follow, seen, log)),
      ...checkEndOfFollow(follow, joined.at(-1) ?? [], log),
    ];
  });
}

function compare(
  { follower, taskId }: FollowRecord,
  seen: readonly SeenEvent[],
  log: readonly EventRow[],
): string[] {
  for (const [index, event] of seen.entries()) {
    const expected = log[index];
    const isSame =
      expected !== undefined &&
      event.stage === expected.stage &&
      event.message === expected.message &&
      (event.sequence ?? expected.sequence) === expected.sequence;
    if (!isSame) {
      const place = event.sequence === null ? '' : ` (${event.sequence})`;
      return [
        `${follower} saw "${event.stage}"${place} of task ${taskId} where "${expected?.stage ?? 'nothing'}" (${index + 1}) belongs`,
      ];
    }
  }
  return [];
}

function checkEndOfFollow(
  { follower, taskId, streams }: FollowRecord,
  seen: readonly SeenEvent[],
  log: readonly EventRow[],
): string[] {
  if (streams.at(-1)?.endedBy !== 'service') {
    return [`${follower} never saw the end of task ${taskId}`];
  }
  return seen.length < log.length
    ? [
        `${follower} was told that task ${taskId} is over after ${seen.length} of ${log.length} events`,
      ]
    : [];
}
