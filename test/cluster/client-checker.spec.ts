import { describe, expect, it } from '@jest/globals';
import { checkEvidence } from './checker.js';
import { changedStream, withChanged, type Change } from './evidence-changes.js';
import { cleanEvidence as clean } from './fabricated-evidence.js';
import { measureCancelLatency } from './run-checks.js';

describe('the checker of the cluster test, on what clients and programs say', () => {
  it.each<[string, Change, string]>([
    [
      'a submission with two tasks',
      ({ submissions }) => ({
        submissions: withChanged(submissions, () => true, { taskIds: ['whole', 'lost'] }),
      }),
      '"work 2 steps 10 ms, job 1" was answered with 2 ids: whole, lost',
    ],
    [
      'a submission that was never answered',
      ({ submissions }) => ({
        submissions: withChanged(submissions, () => true, { taskIds: [] }),
      }),
      '"work 2 steps 10 ms, job 1" was answered with 0 ids: ',
    ],
    [
      'an answered id that nobody knows',
      ({ tasks }) => ({ tasks: tasks.filter(({ taskId }) => taskId !== 'lost') }),
      'Task lost was answered to a client and does not exist',
    ],
    [
      'an id that was answered for another task',
      ({ submissions }) => ({
        submissions: withChanged(submissions, () => true, { taskIds: ['lost'] }),
      }),
      'Task lost is not "work 2 steps 10 ms, job 1", which was answered with its id',
    ],
    [
      'a task that a repeated submission has created',
      ({ submissions }) => ({ submissions: submissions.slice(1) }),
      'Task whole ("work 2 steps 10 ms, job 1") exists and no client knows it',
    ],
    [
      'an acknowledged cancel that did not hold',
      ({ cancels }) => ({
        cancels: withChanged(cancels, ({ taskId }) => taskId === 'whole', { answer: 'cancelled' }),
      }),
      'The cancel of task whole was acknowledged at 1400; it is finished',
    ],
    [
      'a cancel that nobody asked for',
      () => ({ cancels: [] }),
      'Task stopped is cancelled and nobody asked for it',
    ],
    [
      'an event missed at a reconnect',
      changedStream(0, 2, ({ events }) => ({ events: events.slice(1) })),
      'The watcher saw "finished" (4) of task whole where "attempt 1 step 2" (3) belongs',
    ],
    [
      'an event repeated at a reconnect',
      changedStream(0, 1, () => ({
        events: [{ sequence: 2, stage: 'attempt 1 step 1', message: 'message 2' }],
      })),
      'The watcher saw "attempt 1 step 1" (2) of task whole where "attempt 1 step 2" (3) belongs',
    ],
    [
      'events in another order',
      changedStream(1, 1, ({ events }) => ({ events: [events[1], events[0], events[2]] })),
      'The reader saw "attempt 1 step 1" of task stopped where "starting" (1) belongs',
    ],
    [
      'an event with another message',
      changedStream(1, 0, ({ events }) => ({ events: [{ ...events[0], message: 'another' }] })),
      'The reader saw "starting" of task stopped where "starting" (1) belongs',
    ],
    [
      'an event that is not in the log',
      changedStream(1, 1, ({ events }) => ({ events: [...events, events[0]] })),
      'The reader saw "starting" of task stopped where "nothing" (4) belongs',
    ],
    [
      'a stream that the service ended too early',
      changedStream(1, 1, ({ events }) => ({ events: events.slice(0, 2) })),
      'The reader was told that task stopped is over after 2 of 3 events',
    ],
    [
      'a follower that never saw the end',
      changedStream(1, 1, () => ({ endedBy: 'loss' })),
      'The reader never saw the end of task stopped',
    ],
    [
      'two attempts at the same time',
      ({ runLog }) => ({
        runLog: withChanged(runLog, ({ atMs }) => atMs === 1500, { atMs: 4160 }),
      }),
      'Attempts 1 and 2 of task resumed worked at the same time for 10.0 ms',
    ],
    [
      'an attempt within another',
      ({ runLog }) => ({
        runLog: withChanged(runLog, ({ atMs }) => atMs === 1500, { atMs: 4295 }),
      }),
      'Attempts 1 and 2 of task resumed worked at the same time for 140.0 ms',
    ],
    [
      'an attempt that was run twice',
      ({ runLog }) => ({
        runLog: [...runLog, { taskId: 'stopped', attempt: 1, pid: 7, kind: 'start', atMs: 9000 }],
      }),
      'Attempt 1 of task stopped was run twice, by 101 and 7',
    ],
    [
      'a run of a task that does not exist',
      ({ runLog }) => ({
        runLog: [...runLog, { taskId: 'ghost', attempt: 1, pid: 7, kind: 'start', atMs: 9000 }],
      }),
      'Task ghost was run and does not exist',
    ],
    [
      'a task that finished without a run',
      ({ runLog }) => ({ runLog: runLog.filter(({ taskId }) => taskId !== 'whole') }),
      'Task whole finished in attempt 1, which no program ran to its end',
    ],
    [
      'a program that works on after its task has finished',
      ({ runLog }) => ({
        runLog: withChanged(runLog, ({ atMs }) => atMs === 1190, { atMs: 1240 }),
      }),
      'Attempt 1 of task whole worked 40.0 ms after the task had finished',
    ],
    [
      'what went wrong on the way',
      () => ({ failures: ['The clients were not done after 5 ms'] }),
      'The clients were not done after 5 ms',
    ],
  ])('finds %s', (_what, change, violation) => {
    expect(checkEvidence({ ...clean, ...change(clean) })).toContain(violation);
  });
});

describe('the largest cancel latency', () => {
  it('is the time from the answer to the last sign of life', () => {
    expect(measureCancelLatency(clean)).toEqual({
      largestMs: 45,
      largestCalmMs: 45,
      calmCancels: 1,
    });
  });

  it('counts apart what a disturbance may have made longer', () => {
    const disturbances = clean.disturbances.map((one) => ({ ...one, fromMs: 1430 }));
    expect(measureCancelLatency({ ...clean, disturbances })).toEqual({
      largestMs: 45,
      largestCalmMs: 0,
      calmCancels: 0,
    });
  });

  it('is 0 for a task that never ran', () => {
    expect(measureCancelLatency({ ...clean, runLog: [] })).toMatchObject({ largestMs: 0 });
  });
});
