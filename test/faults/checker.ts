import {
  CALL_PATHS,
  hasWrittenBetween,
  type CallOutcome,
  type ClientRecords,
  type Evidence,
  type FaultRecord,
  type FinalState,
  type Limits,
  type StoredTask,
} from './records.js';

/** Holds what the clients know against what the database holds. @returns what is wrong, in words */
export function checkEvidence(evidence: Evidence, limits: Limits): string[] {
  const { records, final, faults, crashes, stopTookMs, isSettled } = evidence;
  return [
    ...(faults.length === 0 ? ['no fault was injected'] : []),
    ...(isSettled ? [] : ['the clients did not come to an end after the last fault']),
    ...checkSubmissions(records, final),
    ...checkCancels(records, final),
    ...checkDeletes(records, final),
    ...checkConfig(records, final),
    ...checkAppends(records, final),
    ...final.tasks.flatMap((task) => checkEvents(task)),
    ...records.denied.map((taskId) => `task ${taskId} was acknowledged and said not to exist`),
    ...checkAnswers(records),
    ...faults.flatMap((fault) => checkFault(fault, limits)),
    ...checkWritesAfter(faults, records),
    ...checkMemory(faults, limits),
    ...crashes.map((line) => `the service crashed or complained: ${line}`),
    ...(stopTookMs > limits.stopMs
      ? [`the service took ${stopTookMs.toFixed(0)} ms to stop, more than ${limits.stopMs}`]
      : []),
  ];
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item)) ?? [];
    groups.set(keyOf(item), [...group, item]);
  }
  return groups;
}

function checkSubmissions({ submissions, deletes }: ClientRecords, final: FinalState): string[] {
  const byInstruction = groupBy(final.tasks, ({ query }) => query);
  const mayBeDeleted = new Set(
    deletes.filter(({ outcome }) => outcome !== 'refused').map(({ name }) => name),
  );
  return submissions.flatMap(({ instruction, outcomes, taskIds }) => {
    const stored = (byInstruction.get(instruction) ?? []).map(({ taskId }) => taskId);
    const [taskId] = taskIds;
    const wrong: string[] = [];
    if (taskIds.size > 1 || stored.length > 1) {
      wrong.push(`"${instruction}" was made more than once under one key`);
    }
    if (taskId !== undefined && !stored.includes(taskId) && !mayBeDeleted.has(taskId)) {
      wrong.push(`"${instruction}" was acknowledged as ${taskId} and is lost`);
    }
    if (taskId === undefined && outcomes.includes('unknown')) {
      wrong.push(`"${instruction}" has an unknown outcome that no retry has settled`);
    }
    if (stored.length > 0 && outcomes.every((outcome) => outcome === 'refused')) {
      wrong.push(`"${instruction}" was refused and is there`);
    }
    return wrong;
  });
}

function checkCancels({ cancels, deletes }: ClientRecords, final: FinalState): string[] {
  const statuses = new Map(final.tasks.map(({ taskId, status }) => [taskId, status]));
  const mayBeDeleted = new Set(deletes.map(({ name }) => name));
  return [...groupBy(cancels, ({ name }) => name)].flatMap(([taskId, tries]) => {
    const status = statuses.get(taskId);
    const outcomes = tries.map(({ outcome }) => outcome);
    if (outcomes.includes('acknowledged')) {
      return status === 'cancelled' || mayBeDeleted.has(taskId)
        ? []
        : [`task ${taskId} was acknowledged as cancelled and is ${status}`];
    }
    return status === 'cancelled' && outcomes.every((outcome) => outcome === 'refused')
      ? [`the cancellation of task ${taskId} was refused and has happened`]
      : [];
  });
}

function checkDeletes({ deletes }: ClientRecords, final: FinalState): string[] {
  const stored = new Set(final.tasks.map(({ taskId }) => taskId));
  return [...groupBy(deletes, ({ name }) => name)].flatMap(([taskId, tries]) => {
    const outcomes = tries.map(({ outcome }) => outcome);
    if (outcomes.includes('acknowledged')) {
      return stored.has(taskId) ? [`task ${taskId} was acknowledged as deleted and is there`] : [];
    }
    return stored.has(taskId) || outcomes.some((outcome) => outcome !== 'refused')
      ? []
      : [`the deletion of task ${taskId} was refused and has happened`];
  });
}

/** One client writes it, one value after the other. */
function checkConfig({ configs }: ClientRecords, { configSteps }: FinalState): string[] {
  const last = configs.findLastIndex(({ outcome }) => outcome === 'acknowledged');
  const possible = configs
    .filter(({ outcome }, index) => index === last || (index > last && outcome !== 'refused'))
    .map(({ steps }) => steps);
  if (last === -1 && configSteps === null) {
    return [];
  }
  return configSteps !== null && possible.includes(configSteps)
    ? []
    : [
        `the configuration has ${configSteps} steps; acknowledged or unknown: ${possible.join(', ')}`,
      ];
}

const MOST_TIMES: Readonly<Record<CallOutcome, readonly [number, number]>> = {
  acknowledged: [1, 1],
  refused: [0, 0],
  unknown: [0, 1],
  untyped: [0, 1],
  hung: [0, 1],
};

function checkAppends({ appends }: ClientRecords, final: FinalState): string[] {
  const stages = new Map(
    final.tasks.map(({ taskId, events }) => [taskId, events.map(({ stage }) => stage)]),
  );
  return appends.flatMap(({ taskId, name, outcome }) => {
    const times = (stages.get(taskId) ?? []).filter((stage) => stage === name).length;
    const [fewest, most] = MOST_TIMES[outcome];
    return times >= fewest && times <= most
      ? []
      : [`the event ${name} was ${outcome} and is there ${times} times`];
  });
}

const ENDS = ['finished', 'error', 'cancelled'];

function checkEvents({ taskId, status, events }: StoredTask): string[] {
  const wrong: string[] = [];
  if (events.some(({ sequence }, index) => sequence !== index + 1)) {
    wrong.push(`the events of task ${taskId} have gaps`);
  }
  const ends = events.filter(({ stage }) => ENDS.includes(stage));
  const isEnded = ENDS.includes(status);
  if (ends.length !== (isEnded ? 1 : 0) || (isEnded && events.at(-1)?.stage !== status)) {
    wrong.push(`task ${taskId} is ${status}, and its log tells another end`);
  }
  if (!isEnded) {
    wrong.push(`task ${taskId} is ${status} long after the last fault`);
  }
  return wrong;
}

function checkAnswers({ calls }: ClientRecords): string[] {
  return calls.flatMap(({ operation, outcome, detail, durationMs, limitMs }) => {
    const took = `${operation} took ${durationMs.toFixed(0)} ms`;
    if (outcome === 'hung') {
      return [`${took} and was not answered`];
    }
    return [
      ...(durationMs > limitMs ? [`${took}, more than the time-outs allow (${limitMs})`] : []),
      ...(outcome === 'untyped' ? [`${operation} failed without saying how: ${detail}`] : []),
    ];
  });
}

function checkFault(fault: FaultRecord, limits: Limits): string[] {
  const { kind, isOutage, recoveryMs, wasNotServing, problems } = fault;
  const wrong = problems.map((problem) => `${kind}: ${problem}`);
  if (recoveryMs === null || recoveryMs > limits.recoveryMs) {
    wrong.push(`${kind}: not restored within ${limits.recoveryMs} ms, but ${recoveryMs}`);
  }
  if (isOutage && !wasNotServing && !hidesFault(fault, limits)) {
    wrong.push(`${kind}: health went on saying SERVING`);
  }
  return wrong;
}

/** Whether the tests stood still for so much of it that health had no time to notice. */
function hidesFault({ startedMs, overMs, stalledMs }: FaultRecord, { noticeMs }: Limits): boolean {
  return stalledMs > 0 && overMs - startedMs - stalledMs < noticeMs;
}

/** A service that reads and says that it is well, but writes nothing any more, has not come back. */
function checkWritesAfter(faults: readonly FaultRecord[], records: ClientRecords): string[] {
  return faults.flatMap(({ kind, overMs }, index) =>
    CALL_PATHS.filter(
      (path) => !hasWrittenBetween(records, path, overMs, faults[index + 1]?.startedMs),
    ).map((path) => `${kind}: no write through the ${path} was acknowledged afterwards`),
  );
}

/** The first faults fill caches and pools; what grows after them does not stop. */
function checkMemory(faults: readonly FaultRecord[], { memoryGrowthBytes }: Limits): string[] {
  const third = Math.floor(faults.length / 3);
  if (third === 0) {
    return [];
  }
  const largestOf = (some: readonly FaultRecord[]): number =>
    Math.max(...some.map(({ rssBytes }) => rssBytes));
  const before = largestOf(faults.slice(0, -third));
  const grownBytes = largestOf(faults.slice(-third)) - before;
  return grownBytes > memoryGrowthBytes
    ? [`the memory of the service grew by ${grownBytes} bytes in the last third of the faults`]
    : [];
}
