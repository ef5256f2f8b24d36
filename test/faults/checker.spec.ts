import { describe, expect, it } from '@jest/globals';
import { checkEvidence } from './checker.js';
import {
  call,
  fault,
  goodRun,
  LIMITS,
  task,
  withoutTask,
  withRecords,
  withTask,
  WRITES,
} from './good-run.js';
import type { Evidence } from './records.js';

describe('the checker of the fault tests', () => {
  it('finds nothing wrong with a run that kept every promise', () => {
    expect(checkEvidence(goodRun(), LIMITS)).toEqual([]);
  });

  it('excuses health that had no time to notice', () => {
    const stalled = fault({ wasNotServing: false, stalledMs: 41 });
    expect(checkEvidence({ ...goodRun(), faults: [stalled] }, LIMITS)).toEqual([]);
  });

  it.each<[string, Partial<Evidence>, string]>([
    ['a lost submission', withoutTask('2'), '"work 2" was acknowledged as 2 and is lost'],
    [
      'a submission made twice',
      withTask(task('7', 'work 1')),
      '"work 1" was made more than once under one key',
    ],
    [
      'one key with two ids',
      withRecords({
        submissions: [
          { instruction: 'work 1', outcomes: ['acknowledged'], taskIds: new Set(['1', '2']) },
        ],
      }),
      '"work 1" was made more than once under one key',
    ],
    ['a refusal that was none', withTask(task('3', 'work 3')), '"work 3" was refused and is there'],
    [
      'an outcome that nothing settled',
      withRecords({
        submissions: [{ instruction: 'work 3', outcomes: ['unknown'], taskIds: new Set() }],
      }),
      '"work 3" has an unknown outcome that no retry has settled',
    ],
    [
      'a lost cancellation',
      withTask(task('5', 'wait 5', 'finished')),
      'task 5 was acknowledged as cancelled and is finished',
    ],
    [
      'a cancellation that was refused',
      withTask(task('1', 'work 1', 'cancelled')),
      'the cancellation of task 1 was refused and has happened',
    ],
    [
      'a lost deletion',
      withTask(task('4', 'work 4')),
      'task 4 was acknowledged as deleted and is there',
    ],
    [
      'a deletion that was refused',
      withoutTask('1'),
      'the deletion of task 1 was refused and has happened',
    ],
    [
      'a lost configuration',
      withRecords({ configs: [{ steps: 7, outcome: 'acknowledged' }] }),
      'the configuration has 2 steps; acknowledged or unknown: 7',
    ],
    [
      'a lost event',
      withRecords({ appends: [{ taskId: '6', name: 'lost', outcome: 'acknowledged' }] }),
      'the event lost was acknowledged and is there 0 times',
    ],
    [
      'an event that was refused',
      withRecords({ appends: [{ taskId: '6', name: 'work', outcome: 'refused' }] }),
      'the event work was refused and is there 1 times',
    ],
    [
      'a gap in a log',
      withTask({
        ...task('6', 'log'),
        events: [
          { sequence: 1, stage: 'starting' },
          { sequence: 2, stage: 'work' },
          { sequence: 4, stage: 'finished' },
        ],
      }),
      'the events of task 6 have gaps',
    ],
    [
      'an end without its event',
      withTask({
        ...task('6', 'log'),
        events: [
          { sequence: 1, stage: 'starting' },
          { sequence: 2, stage: 'work' },
        ],
      }),
      'task 6 is finished, and its log tells another end',
    ],
    [
      'a task that never ends',
      withTask({ ...task('6', 'log', 'running') }),
      'task 6 is running long after the last fault',
    ],
    [
      'an outage told as absence',
      withRecords({ denied: ['1'] }),
      'task 1 was acknowledged and said not to exist',
    ],
    [
      'an answer that comes too late',
      withRecords({ calls: [call({ durationMs: 1_001 })] }),
      'CancelTask took 1001 ms, more than the time-outs allow (1000)',
    ],
    [
      'no answer',
      withRecords({ calls: [call({ outcome: 'hung', durationMs: 900 })] }),
      'CancelTask took 900 ms and was not answered',
    ],
    [
      'an error that says nothing',
      withRecords({ calls: [call({ outcome: 'untyped', detail: 'UNKNOWN' })] }),
      'CancelTask failed without saying how: UNKNOWN',
    ],
    [
      'a slow recovery',
      { faults: [fault({ recoveryMs: 501 })] },
      'killed: not restored within 500 ms, but 501',
    ],
    [
      'no recovery',
      { faults: [fault({ recoveryMs: null })] },
      'killed: not restored within 500 ms, but null',
    ],
    [
      'health that notices nothing',
      { faults: [fault({ wasNotServing: false })] },
      'killed: health went on saying SERVING',
    ],
    [
      'health that had the time to notice something',
      { faults: [fault({ wasNotServing: false, stalledMs: 40 })] },
      'killed: health went on saying SERVING',
    ],
    [
      'a service that never writes again',
      withRecords({
        calls: WRITES.filter(({ through, startedMs }) => through === 'storage' || startedMs < 300),
      }),
      'killed: no write through the service was acknowledged afterwards',
    ],
    [
      'a service that writes again only after the next fault',
      withRecords({ calls: WRITES.filter(({ startedMs }) => startedMs !== 350) }),
      'killed: no write through the service was acknowledged afterwards',
    ],
    [
      'a storage that never writes again',
      withRecords({ calls: WRITES.filter(({ through }) => through === 'service') }),
      'killed: no write through the storage was acknowledged afterwards',
    ],
    [
      'what a fault has found itself',
      { faults: [fault({ problems: ['nobody listens'] })] },
      'killed: nobody listens',
    ],
    [
      'growing memory',
      { faults: [fault(), fault(), fault({ rssBytes: 1_101 })] },
      'the memory of the service grew by 101 bytes in the last third of the faults',
    ],
    ['a run without a fault', { faults: [] }, 'no fault was injected'],
    [
      'clients that hang',
      { isSettled: false },
      'the clients did not come to an end after the last fault',
    ],
    ['a crash', { crashes: ['ended with 1'] }, 'the service crashed or complained: ended with 1'],
    ['a slow end', { stopTookMs: 2_001 }, 'the service took 2001 ms to stop, more than 2000'],
  ])('finds %s', (_what, change, violation) => {
    expect(checkEvidence({ ...goodRun(), ...change }, LIMITS)).toContain(violation);
  });
});
