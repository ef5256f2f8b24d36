import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  StatementGatherer,
  type GathererLimits,
  type Outcome,
  type Sharing,
} from '../../src/storage/typeorm/statement-gatherer.js';
import { StatementLane, type LaneLimits } from '../../src/storage/typeorm/statement-lane.js';
import type { GatheredCall } from '../../src/storage/typeorm/waiting-calls.js';

/** A statement that is under way until the test answers it. */
export interface ManualStatement {
  readonly requests: readonly string[];
  readonly sharing: Sharing;
  /** Answers, by default every call with its own answer. */
  readonly answer: (outcomes?: readonly Outcome<string>[]) => void;
  readonly fail: (error: unknown) => void;
}

/** A call, and what has become of it so far: `waiting`, its answer or its error. */
export interface TrackedCall {
  readonly outcome: unknown;
}

export interface ManualStatements {
  readonly gatherer: StatementGatherer<string, string>;
  /** All statements so far, in order. */
  readonly batches: readonly ManualStatement[];
  readonly call: (request: string, about?: Partial<GatheredCall<string>>) => TrackedCall;
  /** Has one call under way by itself, and then as many shared statements as may be. */
  readonly occupy: () => Promise<void>;
  /** Answers what is under way until nothing more comes. */
  readonly answerAll: () => Promise<void>;
}

/** Until a gatherer has done what it can; it may let a turn of the event loop pass before it sends. */
export async function turn(): Promise<void> {
  for (let count = 0; count < 3; count += 1) {
    await nextTurn();
  }
}

export const ALONE = { kind: 'alone' } as const;

export const UNAVAILABLE = { code: 'UNAVAILABLE' };

export function answerTo(request: string): string {
  return `answer to ${request}`;
}

/** A gatherer whose statements do nothing until the test says what. */
export function createManualStatements(
  limits: Partial<GathererLimits & LaneLimits> = {},
): ManualStatements {
  const allLimits = {
    maxShared: 1,
    maxSlow: 0,
    minBeside: 1,
    maxSingle: 1,
    waitLimitMs: 60_000,
    ...limits,
  };
  const { lane = new StatementLane(allLimits) } = limits;
  const batches: ManualStatement[] = [];
  const underWay = new Set<ManualStatement>();
  const gatherer = new StatementGatherer<string, string>(
    async (requests, sharing) =>
      new Promise((resolve, reject) => {
        const statement: ManualStatement = {
          requests,
          sharing,
          answer: (outcomes) => {
            underWay.delete(statement);
            resolve(
              outcomes ??
                requests.map((request) => ({ kind: 'answer', answer: answerTo(request) })),
            );
          },
          fail: (error) => {
            underWay.delete(statement);
            reject(error);
          },
        };
        underWay.add(statement);
        batches.push(statement);
      }),
    { ...allLimits, lane },
  );
  const call = (request: string, about: Partial<GatheredCall<string>> = {}): TrackedCall => {
    const tracked: { outcome: unknown } = { outcome: 'waiting' };
    gatherer.run({ request, key: null, group: '', bytes: 1, ...about }).then(
      (answer) => (tracked.outcome = answer),
      (error: unknown) => (tracked.outcome = error),
    );
    return tracked;
  };
  return {
    gatherer,
    batches,
    call,
    occupy: async () => {
      for (let count = 0; count <= allLimits.maxShared; count += 1) {
        call(`occupies ${count}`);
        await turn();
      }
    },
    answerAll: async () => {
      do {
        await turn();
        underWay.forEach(({ answer }) => answer());
        await turn();
      } while (underWay.size > 0);
    },
  };
}
