import fc, { type WeightedArbitrary } from 'fast-check';
import type { CreateTaskOptions } from '../../task/task-storage.js';
import { LONG_LEASE_MS } from '../lease-samples.js';
import { TASK_IDS, type LeaseGuard, type Operation } from './operation.js';

const MINUTES_PER_DAY = 1440;

const owner = fc.constantFrom('process 1', 'process 2');
/** A guard, or none. */
export const guard = fc.constantFrom<LeaseGuard | undefined>(
  undefined,
  undefined,
  undefined,
  'held',
  'held',
  'of another owner',
  'of another attempt',
);
/** A limit of tasks that may be reached, or none. */
export const fewTasks = fc.option(fc.nat(TASK_IDS.length), { nil: undefined, freq: 2 });
const term = { owner, leaseMs: fc.constant(LONG_LEASE_MS) };
const claim = { ...term, limit: fc.integer({ min: 1, max: 3 }) };

/** Neither queued nor held, or one of both. */
export const admission: fc.Arbitrary<Pick<CreateTaskOptions, 'lease' | 'queue'>> = fc.oneof(
  fc.constant({}),
  fc.constant({ queue: true }),
  fc.record({ lease: fc.record(term) }),
);

/** @param agesToo whether time may pass between the operations, without which no lease ends */
export function leaseOperations(agesToo: boolean): WeightedArbitrary<Operation>[] {
  return [
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('claimQueued' as const),
        caller: fc.constant(null),
        options: fc.record({ ...claim, maxHeldTasks: fewTasks, maxHeldTasksPerTenant: fewTasks }),
      }),
    },
    {
      weight: agesToo ? 3 : 1,
      arbitrary: fc.record({
        kind: fc.constant('claimExpired' as const),
        caller: fc.constant(null),
        options: fc.record({
          ...claim,
          resumableAfterMs: fc.constantFrom(undefined, 0, LONG_LEASE_MS),
          staleRunningMinutes: fc.constantFrom(undefined, MINUTES_PER_DAY),
        }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('renew' as const),
        caller: fc.constant(null),
        options: fc.record({
          ...term,
          taskIds: fc.option(fc.subarray([...TASK_IDS]), { nil: undefined, freq: 2 }),
        }),
      }),
    },
  ];
}
