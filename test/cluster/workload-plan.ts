import type { Random } from './random.js';

/** How long tasks work. */
export interface WorkloadOptions {
  readonly tasks: number;
  /** How long a few tasks work at the most. */
  readonly longestWorkMs: number;
}

/** What one client is going to do with one task; decided before anything runs. */
export interface PlannedTask {
  readonly number: number;
  /** Unlike that of any other task, so that the table can be compared with the plan. */
  readonly instruction: string;
  readonly idempotencyKey: string;
  /** Whether the submitting call streams the stages itself. */
  readonly isStreamed: boolean;
  readonly follows: readonly PlannedFollow[];
  /** Milliseconds from the answer to the submission until each cancel. */
  readonly cancelsAfterMs: readonly number[];
}

/** How one client follows a task. */
export interface PlannedFollow {
  readonly kind: 'goes-on' | 'starts-over';
  /** After so many events each of its connections is cut; one more connection sees the end. */
  readonly cutsAfterEvents: readonly number[];
}

const SHORT_WORK_MS = [50, 600] as const;
const LONG_PERCENT = 6;
const STEPS = [1, 8] as const;
const STREAMED_PERCENT = 20;
const CANCELLED_PERCENT = 22;
/** Cancelled by two clients at once. */
const CANCELLED_TWICE_PERCENT = 15;
const SECOND_FOLLOWER_PERCENT = 20;
const STARTS_OVER_PERCENT = 30;

export function planTasks(random: Random, options: WorkloadOptions): PlannedTask[] {
  return Array.from({ length: options.tasks }, (_, index) =>
    planTask(random.derive(`task ${index + 1}`), index + 1, options),
  );
}

function planTask(random: Random, number: number, options: WorkloadOptions): PlannedTask {
  const isLong = random.happens(LONG_PERCENT);
  const workMs = isLong
    ? random.integer(options.longestWorkMs / 2, options.longestWorkMs)
    : random.integer(...SHORT_WORK_MS);
  const steps = random.integer(...STEPS) * (isLong ? 4 : 1);
  const isStreamed = random.happens(STREAMED_PERCENT);
  const followers = (isStreamed ? 0 : 1) + (random.happens(SECOND_FOLLOWER_PERCENT) ? 1 : 0);
  // The long ones show how long a cancel takes: they would go on.
  const isCancelled = isLong || random.happens(CANCELLED_PERCENT);
  const cancelAfterMs = random.integer(0, isLong ? 1_500 : 800);
  const isCancelledTwice = random.happens(CANCELLED_TWICE_PERCENT);
  return {
    number,
    instruction: `work ${steps} steps ${Math.ceil(workMs / steps)} ms, job ${number}`,
    idempotencyKey: `job ${number}`,
    isStreamed,
    follows: Array.from({ length: followers }, () => planFollow(random)),
    cancelsAfterMs: isCancelled
      ? [cancelAfterMs, ...(isCancelledTwice ? [cancelAfterMs] : [])]
      : [],
  };
}

function planFollow(random: Random): PlannedFollow {
  return {
    kind: random.happens(STARTS_OVER_PERCENT) ? 'starts-over' : 'goes-on',
    cutsAfterEvents: Array.from({ length: random.integer(0, 3) }, () => random.integer(1, 4)),
  };
}
