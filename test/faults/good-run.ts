import type { CallRecord, Evidence, FaultRecord, Limits, StoredTask } from './records.js';

/** What the runs of the checker's test are held to. */
export const LIMITS: Limits = {
  recoveryMs: 500,
  stopMs: 2_000,
  noticeMs: 60,
  memoryGrowthBytes: 100,
};

/** A stored task whose log is complete. */
export function task(taskId: string, query: string, status = 'finished'): StoredTask {
  const events = ['starting', 'work', status].map((stage, index) => ({
    sequence: index + 1,
    stage,
  }));
  return { taskId, query, status, events };
}

/** A call of a client that was acknowledged in time. */
export function call(fields: Partial<CallRecord> = {}): CallRecord {
  return {
    operation: 'CancelTask',
    through: 'service',
    isWrite: true,
    outcome: 'acknowledged',
    detail: '',
    startedMs: 150,
    durationMs: 10,
    limitMs: 1_000,
    ...fields,
  };
}

/** An outage that the service bore well. */
export function fault(fields: Partial<FaultRecord> = {}): FaultRecord {
  return {
    kind: 'killed',
    isOutage: true,
    startedMs: 0,
    overMs: 100,
    stalledMs: 0,
    recoveryMs: 50,
    wasNotServing: true,
    rssBytes: 1_000,
    problems: [],
    ...fields,
  };
}

/** What is written after each of three faults. */
export const WRITES = [150, 350, 550].flatMap((startedMs) => [
  call({ startedMs }),
  call({ startedMs, operation: 'appendEvents', through: 'storage' }),
]);

/** A run in which everything is as it should be. */
export function goodRun(): Evidence {
  return {
    records: {
      calls: [
        ...WRITES,
        call({ outcome: 'refused', durationMs: 900 }),
        call({ outcome: 'unknown', durationMs: 1_000 }),
      ],
      submissions: [
        { instruction: 'work 1', outcomes: ['acknowledged'], taskIds: new Set(['1']) },
        { instruction: 'work 2', outcomes: ['unknown', 'acknowledged'], taskIds: new Set(['2']) },
        { instruction: 'work 3', outcomes: ['refused', 'refused'], taskIds: new Set() },
        { instruction: 'work 4', outcomes: ['acknowledged'], taskIds: new Set(['4']) },
        { instruction: 'wait 5', outcomes: ['acknowledged'], taskIds: new Set(['5']) },
      ],
      cancels: [
        { name: '5', outcome: 'acknowledged' },
        { name: '2', outcome: 'unknown' },
        { name: '2', outcome: 'refused' },
        { name: '1', outcome: 'refused' },
      ],
      deletes: [
        { name: '4', outcome: 'unknown' },
        { name: '4', outcome: 'acknowledged' },
        { name: '1', outcome: 'refused' },
      ],
      configs: [
        { steps: 1, outcome: 'acknowledged' },
        { steps: 2, outcome: 'unknown' },
        { steps: 3, outcome: 'refused' },
      ],
      appends: [
        { taskId: '6', name: 'starting', outcome: 'acknowledged' },
        { taskId: '6', name: 'work', outcome: 'unknown' },
        { taskId: '6', name: 'refused event', outcome: 'refused' },
      ],
      denied: [],
    },
    final: {
      tasks: [
        task('1', 'work 1'),
        task('2', 'work 2', 'cancelled'),
        task('5', 'wait 5', 'cancelled'),
        task('6', 'log'),
      ],
      configSteps: 2,
    },
    faults: [
      fault(),
      fault({ startedMs: 200, overMs: 300, isOutage: false, wasNotServing: false }),
      fault({ startedMs: 400, overMs: 500, rssBytes: 1_100 }),
    ],
    crashes: [],
    isSettled: true,
    stalledMs: 0,
    stopTookMs: 2_000,
  };
}

/** Changes the records of a good run. */
export const withRecords = (fields: Partial<Evidence['records']>): Partial<Evidence> => ({
  records: { ...goodRun().records, ...fields },
});

const withTasks = (tasks: readonly StoredTask[]): Partial<Evidence> => ({
  final: { ...goodRun().final, tasks },
});

export const withoutTask = (taskId: string): Partial<Evidence> =>
  withTasks(goodRun().final.tasks.filter((stored) => stored.taskId !== taskId));

export const withTask = (added: StoredTask): Partial<Evidence> =>
  withTasks([...goodRun().final.tasks.filter(({ taskId }) => taskId !== added.taskId), added]);
