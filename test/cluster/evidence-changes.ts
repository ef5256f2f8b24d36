import { expect } from '@jest/globals';
import type { Evidence } from './evidence.js';

/* Small changes of evidence, each of which violates one promise. */

export type Change = (evidence: Evidence) => Partial<Evidence>;

/** The list with one record changed, the first that fits. */
export function withChanged<T>(
  list: readonly T[],
  fits: (record: T) => boolean,
  fields: Partial<T>,
): T[] {
  const index = list.findIndex(fits);
  expect(index).not.toBe(-1);
  return list.map((record, at) => (at === index ? { ...record, ...fields } : record));
}

export const changedTask =
  (taskId: string, fields: Partial<Evidence['tasks'][number]>): Change =>
  ({ tasks }) => ({ tasks: withChanged(tasks, (task) => task.taskId === taskId, fields) });

export const changedEvent =
  (taskId: string, sequence: number, fields: Partial<Evidence['events'][number]>): Change =>
  ({ events }) => ({
    events: withChanged(
      events,
      (event) => event.taskId === taskId && event.sequence === sequence,
      fields,
    ),
  });

export const changedAudit =
  (atMs: number, fields: Partial<Evidence['audit'][number]>): Change =>
  ({ audit }) => ({
    audit: withChanged(audit, (row) => row.atMs === atMs, fields).sort(
      (one, other) => one.atMs - other.atMs,
    ),
  });

export const changedState =
  (atMs: number, fields: Partial<NonNullable<Evidence['audit'][number]['after']>>): Change =>
  (evidence) => {
    const row = evidence.audit.find((candidate) => candidate.atMs === atMs);
    if (row?.after === undefined || row.after === null) {
      throw new Error(`There is no change at ${atMs}`);
    }
    return changedAudit(atMs, { after: { ...row.after, ...fields } })(evidence);
  };

/** Changes the events of one stream of one follower. */
export const changedStream =
  (
    follow: number,
    stream: number,
    change: (found: Evidence['follows'][number]['streams'][number]) => object,
  ): Change =>
  ({ follows }) => ({
    follows: follows.map((record, at) =>
      at === follow
        ? {
            ...record,
            streams: record.streams.map((one, index) =>
              index === stream ? { ...one, ...change(one) } : one,
            ),
          }
        : record,
    ),
  });
