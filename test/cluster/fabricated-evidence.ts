import type { AuditedState, AuditRow, Evidence, EventRow, RunLogLine } from './evidence.js';

/*
 * What a phase of four tasks leaves behind when all holds: `whole` finishes, `resumed` finishes in
 * its second attempt after its replica was killed, `stopped` is cancelled, `lost` is interrupted.
 */

function state(
  status: string,
  leaseOwner: string | null,
  attempt: number,
  version: number,
): AuditedState {
  return { status, leaseOwner, attempt, version };
}

/** The changes of one task: the times, and what it became. */
function changes(taskId: string, ...steps: readonly [number, AuditedState][]): AuditRow[] {
  return steps.map(([atMs, after], index) => ({
    id: atMs,
    atMs,
    taskId,
    before: steps[index - 1]?.[1] ?? null,
    after,
  }));
}

function log(taskId: string, status: string, ...stages: readonly string[]): EventRow[] {
  return stages.map((stage, index) => ({
    taskId,
    sequence: index + 1,
    stage,
    message: `message ${index + 1}`,
    atMs: 0,
    status: index === stages.length - 1 ? status : null,
  }));
}

function run(
  taskId: string,
  attempt: number,
  times: readonly number[],
  lastKind: 'beat' | 'end',
): RunLogLine[] {
  return times.map((atMs, index) => ({
    taskId,
    attempt,
    pid: 100 + attempt,
    kind: index === 0 ? 'start' : index === times.length - 1 ? lastKind : 'beat',
    atMs,
  }));
}

const task = {
  result: null,
  finalState: null,
  leaseOwner: null,
  attempt: 1,
};

export const cleanEvidence: Evidence = {
  mode: 'queue',
  maxTasks: 2,
  tasks: [
    {
      ...task,
      taskId: 'whole',
      query: 'work 2 steps 10 ms, job 1',
      status: 'finished',
      result: 'attempt 1 done',
      lastEventSequence: 4,
    },
    {
      ...task,
      taskId: 'resumed',
      query: 'work 2 steps 10 ms, job 2',
      status: 'finished',
      attempt: 2,
      result: 'attempt 2 done',
      lastEventSequence: 6,
    },
    {
      ...task,
      taskId: 'stopped',
      query: 'work 3 steps 10 ms, job 3',
      status: 'cancelled',
      lastEventSequence: 3,
    },
    {
      ...task,
      taskId: 'lost',
      query: 'work 4 steps 10 ms, job 4',
      status: 'error',
      finalState: 'interrupted',
      lastEventSequence: 2,
    },
  ],
  events: [
    ...log('whole', 'finished', 'starting', 'attempt 1 step 1', 'attempt 1 step 2', 'finished'),
    ...log(
      'resumed',
      'finished',
      'starting',
      'attempt 1 step 1',
      'resuming',
      'attempt 2 step 1',
      'attempt 2 step 2',
      'finished',
    ),
    ...log('stopped', 'cancelled', 'starting', 'attempt 1 step 1', 'cancelled'),
    ...log('lost', 'error', 'starting', 'error'),
  ],
  audit: [
    ...changes(
      'whole',
      [1000, state('pending', null, 0, 1)],
      [1010, state('pending', 'one', 1, 2)],
      [1020, state('running', 'one', 1, 3)],
      [1200, state('finished', null, 1, 4)],
    ),
    ...changes(
      'resumed',
      [1001, state('pending', null, 0, 1)],
      [1011, state('running', 'two', 1, 2)],
      [4100, state('running', 'three', 2, 3)],
      [4300, state('finished', null, 2, 4)],
    ),
    ...changes(
      'stopped',
      [1002, state('pending', null, 0, 1)],
      [1210, state('running', 'one', 1, 2)],
      [1400, state('cancelled', null, 1, 3)],
    ),
    ...changes(
      'lost',
      [1003, state('pending', null, 0, 1)],
      [1410, state('running', 'one', 1, 2)],
      [1900, state('error', null, 1, 3)],
    ),
  ].sort((one, other) => one.atMs - other.atMs),
  runLog: [
    ...run('whole', 1, [1030, 1100, 1190], 'end'),
    ...run('resumed', 1, [1040, 1200, 1500], 'beat'),
    ...run('resumed', 2, [4150, 4200, 4290], 'end'),
    ...run('stopped', 1, [1250, 1400, 1450], 'end'),
  ],
  submissions: [
    { instruction: 'work 2 steps 10 ms, job 1', taskIds: ['whole'] },
    { instruction: 'work 2 steps 10 ms, job 2', taskIds: ['resumed', 'resumed'] },
    { instruction: 'work 3 steps 10 ms, job 3', taskIds: ['stopped'] },
    { instruction: 'work 4 steps 10 ms, job 4', taskIds: ['lost'] },
  ],
  follows: [
    {
      follower: 'The watcher',
      taskId: 'whole',
      kind: 'goes-on',
      streams: [
        {
          events: [
            { sequence: 1, stage: 'starting', message: 'message 1' },
            { sequence: 2, stage: 'attempt 1 step 1', message: 'message 2' },
          ],
          endedBy: 'client',
        },
        { events: [], endedBy: 'loss' },
        {
          events: [
            { sequence: 3, stage: 'attempt 1 step 2', message: 'message 3' },
            { sequence: 4, stage: 'finished', message: 'message 4' },
          ],
          endedBy: 'service',
        },
      ],
    },
    {
      follower: 'The reader',
      taskId: 'stopped',
      kind: 'starts-over',
      streams: [
        {
          events: [{ sequence: null, stage: 'starting', message: 'message 1' }],
          endedBy: 'loss',
        },
        {
          events: [
            { sequence: null, stage: 'starting', message: 'message 1' },
            { sequence: null, stage: 'attempt 1 step 1', message: 'message 2' },
            { sequence: null, stage: 'cancelled', message: 'message 3' },
          ],
          endedBy: 'service',
        },
      ],
    },
  ],
  cancels: [
    { taskId: 'stopped', askedAtMs: 1390, answeredAtMs: 1405, answer: 'cancelled' },
    { taskId: 'whole', askedAtMs: 1390, answeredAtMs: 1400, answer: 'refused' },
  ],
  disturbances: [{ kind: 'kill', replica: 'two', fromMs: 1499, untilMs: 2600 }],
  failures: [],
};
