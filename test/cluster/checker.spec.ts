import { describe, expect, it } from '@jest/globals';
import { checkEvidence } from './checker.js';
import {
  changedAudit,
  changedEvent,
  changedState,
  changedTask,
  type Change,
} from './evidence-changes.js';
import { cleanEvidence as clean } from './fabricated-evidence.js';

describe('the checker of the cluster test, on what the database says', () => {
  it('finds nothing where all holds', () => {
    expect(checkEvidence(clean)).toEqual([]);
  });

  it.each<[string, Change, string]>([
    [
      'the limit, exceeded for a moment',
      changedAudit(1210, { atMs: 1199 }),
      'At 1199 task stopped made 3 active tasks; the limit is 2',
    ],
    [
      'the limit, exceeded by waiting tasks where a full service refuses',
      () => ({ mode: 'reject' }),
      'At 1002 task stopped made 3 active tasks; the limit is 2',
    ],
    [
      'a task that does not end',
      changedTask('lost', { status: 'running' }),
      'Task lost has not ended: it is running',
    ],
    [
      'an ended task that is held',
      changedTask('stopped', { leaseOwner: 'one' }),
      'Task stopped is cancelled and still held by one',
    ],
    [
      'a failure without a cause',
      changedTask('lost', { finalState: 'failed' }),
      'Task lost failed with failed, which nothing in the test causes',
    ],
    [
      'an end written by an attempt that had lost the task',
      changedTask('resumed', { result: 'attempt 1 done' }),
      'Task resumed finished in attempt 2 with the result "attempt 1 done"',
    ],
    [
      'a task taken from a healthy replica',
      () => ({ disturbances: [] }),
      'Task resumed was taken from a replica though none was disturbed',
    ],
    [
      'an end that was overwritten',
      ({ audit }) => ({
        audit: [
          ...audit,
          {
            id: 5000,
            atMs: 5000,
            taskId: 'stopped',
            before: { status: 'cancelled', leaseOwner: null, attempt: 1, version: 3 },
            after: { status: 'finished', leaseOwner: null, attempt: 1, version: 4 },
          },
        ],
      }),
      'Task stopped was cancelled and became finished at 5000',
    ],
    [
      'a write after the end',
      ({ audit }) => ({
        audit: [
          ...audit,
          {
            id: 5000,
            atMs: 5000,
            taskId: 'stopped',
            before: { status: 'cancelled', leaseOwner: null, attempt: 1, version: 3 },
            after: { status: 'cancelled', leaseOwner: null, attempt: 1, version: 4 },
          },
        ],
      }),
      'Task stopped was cancelled and changed at 5000',
    ],
    ['a deleted task', changedAudit(1900, { after: null }), 'Task lost was deleted at 1900'],
    [
      'a version that goes back',
      changedState(1400, { version: 1 }),
      'The version or attempt of task stopped went back at 1400',
    ],
    [
      'an attempt that goes back',
      changedState(4300, { attempt: 1 }),
      'The version or attempt of task resumed went back at 4300',
    ],
    [
      'a change of status without a new version',
      changedState(1400, { version: 2 }),
      'Task stopped became cancelled at 1400 and kept version 2',
    ],
    [
      'a new holder without a new attempt',
      changedState(4100, { attempt: 1 }),
      'Task resumed went from two to three at 4100 within attempt 1',
    ],
    [
      'a gap in the log',
      changedEvent('whole', 3, { sequence: 5 }),
      'The log of task whole has sequence 5 where 3 belongs',
    ],
    [
      'a log that is shorter than the task says',
      changedTask('whole', { lastEventSequence: 5 }),
      'Task whole counts 5 events; its log has 4 of them',
    ],
    [
      'two ends in a log',
      changedEvent('whole', 3, { status: 'error' }),
      'The log of task whole should end with its one end; it has attempt 1 step 2 (3), finished (4)',
    ],
    [
      'an end that is not the last event',
      (evidence) => {
        const { events } = changedEvent('lost', 1, { status: 'error' })(evidence);
        return changedEvent('lost', 2, { status: null })({ ...evidence, events: events ?? [] });
      },
      'The log of task lost should end with its one end; it has starting (1)',
    ],
    [
      'a log without an end',
      changedEvent('lost', 2, { status: null }),
      'The log of task lost should end with its one end; it has none',
    ],
    [
      'a log that ends otherwise than the task',
      changedEvent('lost', 2, { status: 'cancelled' }),
      'Task lost is error; its log says cancelled',
    ],
    [
      'a step of an attempt that had lost the task',
      changedEvent('resumed', 5, { stage: 'attempt 1 step 2' }),
      'The log of task resumed has "attempt 1 step 2" (5) after attempt 2 step 1',
    ],
    [
      'a step of an attempt that was lost just before',
      changedEvent('resumed', 4, { stage: 'attempt 1 step 2' }),
      'The log of task resumed has "attempt 1 step 2" (4) after attempt 1 step 1 and another attempt',
    ],
    [
      'a step that is missing',
      changedEvent('whole', 2, { stage: 'output' }),
      'The log of task whole has "attempt 1 step 2" (3) after attempt 0 step 0',
    ],
    [
      'a task that finished before its last step',
      changedEvent('whole', 3, { stage: 'output' }),
      'Task whole finished in attempt 1 after attempt 1 step 1 of 2',
    ],
  ])('finds %s', (_what, change, violation) => {
    expect(checkEvidence({ ...clean, ...change(clean) })).toContain(violation);
  });
});
