import { InvalidTaskError } from './errors.js';
import type {
  ClaimExpiredOptions,
  ClaimQueuedOptions,
  HeldLease,
  LeaseTerm,
  RenewLeasesOptions,
} from './task-lease.js';
import {
  assertOptions,
  assertRecord,
  identifier,
  MAX_INTEGER,
  MAX_PAGE_SIZE,
  optionalCount,
  wholeNumber,
} from './value-parsers.js';

/* What comes in about leases, checked and copied. */

const DAY_MS = 86_400_000;

/** The most tasks whose leases one call renews. */
export const MAX_RENEWED_TASKS = 10_000;

const leaseMs = wholeNumber(1, DAY_MS);
const limit = wholeNumber(1, MAX_PAGE_SIZE);
const count = wholeNumber(0, MAX_INTEGER);
const minutes = wholeNumber(1, MAX_INTEGER);

/** `claimQueued` with `null` where there is no limit. */
export interface ParsedClaimQueued extends LeaseTerm {
  readonly limit: number;
  readonly maxHeldTasks: number | null;
  readonly maxHeldTasksPerTenant: number | null;
}

/** `claimExpired` with `null` where tasks without a lease are left alone. */
export interface ParsedClaimExpired extends LeaseTerm {
  readonly limit: number;
  readonly resumableAfterMs: number;
  readonly staleRunningMinutes: number | null;
}

function term(source: Record<string, unknown>, prefix: string): LeaseTerm {
  return {
    owner: identifier(source['owner'], `${prefix}owner`),
    leaseMs: leaseMs(source['leaseMs'], `${prefix}leaseMs`),
  };
}

/** @throws {InvalidTaskError} naming the field */
export function parseLeaseTerm(value: unknown, field: string): LeaseTerm {
  assertRecord(value, field);
  assertOptions(value, ['owner', 'leaseMs']);
  return term(value, `${field}.`);
}

/** @throws {InvalidTaskError} naming the field */
export function parseHeldLease(value: unknown, field: string): HeldLease {
  assertRecord(value, field);
  assertOptions(value, ['owner', 'attempt']);
  return {
    owner: identifier(value['owner'], `${field}.owner`),
    attempt: wholeNumber(1, MAX_INTEGER)(value['attempt'], `${field}.attempt`),
  };
}

/** `renew` with `null` for all tasks of the owner. */
export interface ParsedRenewal extends LeaseTerm {
  readonly taskIds: readonly string[] | null;
}

/** @throws {InvalidTaskError} naming the option */
export function parseRenewal(options: RenewLeasesOptions): ParsedRenewal {
  const source: unknown = options;
  assertRecord(source, 'options');
  assertOptions(source, ['owner', 'leaseMs', 'taskIds']);
  const { taskIds } = source;
  return { ...term(source, ''), taskIds: taskIds === undefined ? null : parseTaskIds(taskIds) };
}

function parseTaskIds(taskIds: unknown): string[] {
  if (!Array.isArray(taskIds) || taskIds.length > MAX_RENEWED_TASKS) {
    throw new InvalidTaskError('taskIds', `must be an array of at most ${MAX_RENEWED_TASKS} ids`);
  }
  return Array.from<unknown, string>(taskIds, (taskId, index) =>
    identifier(taskId, `taskIds[${index}]`),
  );
}

/** @throws {InvalidTaskError} naming the option */
export function parseClaimQueued(options: ClaimQueuedOptions): ParsedClaimQueued {
  const source: unknown = options;
  assertRecord(source, 'options');
  assertOptions(source, ['owner', 'leaseMs', 'limit', 'maxHeldTasks', 'maxHeldTasksPerTenant']);
  const { maxHeldTasks, maxHeldTasksPerTenant } = source;
  return {
    ...term(source, ''),
    limit: limit(source['limit'], 'limit'),
    maxHeldTasks: optionalCount(maxHeldTasks, 'maxHeldTasks'),
    maxHeldTasksPerTenant: optionalCount(maxHeldTasksPerTenant, 'maxHeldTasksPerTenant'),
  };
}

/** @throws {InvalidTaskError} naming the option */
export function parseClaimExpired(options: ClaimExpiredOptions): ParsedClaimExpired {
  const source: unknown = options;
  assertRecord(source, 'options');
  assertOptions(source, ['owner', 'leaseMs', 'limit', 'resumableAfterMs', 'staleRunningMinutes']);
  const { resumableAfterMs = 0, staleRunningMinutes } = source;
  return {
    ...term(source, ''),
    limit: limit(source['limit'], 'limit'),
    resumableAfterMs: count(resumableAfterMs, 'resumableAfterMs'),
    staleRunningMinutes:
      staleRunningMinutes === undefined
        ? null
        : minutes(staleRunningMinutes, 'staleRunningMinutes'),
  };
}
