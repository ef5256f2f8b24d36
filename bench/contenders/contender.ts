import type { Operation } from '../measure/closed-loop.js';

/** How many tasks each contender has; calls go to any of them. */
export const OWN_TASKS = 10_000;

/** What a task is created with. */
export const QUERY = 'Open the calculator and add 2 and 2';
export const MAX_STEPS = 50;
export const REQUEST_DATA = { instruction: QUERY, maxSteps: MAX_STEPS, destination: 'desktop' };
export const STAGE = { stage: 'acting', message: 'Clicked the button labelled 2' };

/** What is measured of tasks, one at a time. */
export const OPERATION_NAMES = ['create', 'get', 'update', 'append event', 'mixed'] as const;

/** One of {@link OPERATION_NAMES}. */
export type OperationName = (typeof OPERATION_NAMES)[number];

/** What was acknowledged, to be compared with what is there in the end. */
export class Acknowledged {
  readonly created = new Set<string>();
  /** By task. */
  readonly updates = new Map<string, number>();
  /** By task. */
  readonly events = new Map<string, number>();

  update(taskId: string): void {
    this.updates.set(taskId, (this.updates.get(taskId) ?? 0) + 1);
  }

  append(taskId: string): void {
    this.events.set(taskId, (this.events.get(taskId) ?? 0) + 1);
  }
}

/** Someone who does the same work in another way, on tasks of its own whose ids begin with its name. */
export interface Contender {
  readonly name: string;
  readonly operations: Readonly<Record<Exclude<OperationName, 'mixed'>, Operation>>;
  readonly acknowledged: Acknowledged;
  close(): Promise<void>;
}

/** A task of the contender that exists since before. */
export function existingTaskId(name: string): string {
  return `${name}-${Math.floor(Math.random() * OWN_TASKS)}`;
}

/** Hands out ids that nobody else has. */
export function newTaskIds(name: string): () => string {
  let count = 0;
  const begin = Date.now();
  return () => {
    count += 1;
    return `${name}-new-${begin}-${count}`;
  };
}

/** Six of ten calls read, three write, one creates: about what a service does while tasks run. */
export function mixedOperation({ operations }: Contender): Operation {
  const { get, update, create } = operations;
  return async (caller) => {
    const chance = Math.random();
    if (chance < 0.6) {
      return get(caller);
    }
    if (chance < 0.75) {
      return update(caller);
    }
    return chance < 0.9 ? operations['append event'](caller) : create(caller);
  };
}

/** Ends the measurement: a fast wrong answer is no answer. */
export function wrongAnswer(contender: string, problem: string): never {
  throw new Error(`${contender} answered wrongly: ${problem}`);
}
