import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  InvalidTaskError,
  TaskStorageError,
  type TaskStorageErrorCode,
} from '../../task/errors.js';
import type { TaskStorage } from '../../task/task-storage.js';
import { assertSame } from '../assertions.js';
import type { ConformanceGroup } from '../conformance-group.js';
import {
  contractArguments,
  TASK_ID,
  type ContractArgument,
} from '../generated/contract-arguments.js';
import { hostileValue } from '../generated/hostile-value.js';
import { minimalTask } from '../samples.js';

/** How often each argument is tried. */
const RUNS_PER_ARGUMENT = 20;

/** Ends a long search for the simplest value before the test runner ends the test. */
const TIME_LIMIT_MS = 45_000;

/** What a value that can be stored may meet. */
const OTHER_REFUSALS: ReadonlySet<TaskStorageErrorCode> = new Set([
  'CONFLICT',
  'ILLEGAL_TRANSITION',
  'LIMIT_REACHED',
]);

/** Fails unless the error names the argument, a part of it, or what it has that it must not have. */
function assertNamed({ field: expected }: ContractArgument, error: TaskStorageError): void {
  assert.equal(
    error.code,
    'INVALID',
    `The operation rejected with ${error.code}: ${error.message}`,
  );
  assert.ok(error instanceof InvalidTaskError, 'The error must be an InvalidTaskError');
  const isWhole = ['task', 'updates', 'options', 'lease', 'events'].includes(expected);
  assert.ok(
    error.message.startsWith(error.field) && (isWhole || error.field.startsWith(expected)),
    `The error names ${error.field}; it must name ${expected}`,
  );
}

/** JSON has one kind of zero, and no `undefined`. */
function asJson(value: unknown): unknown {
  return typeof value === 'object' ? JSON.parse(JSON.stringify(value)) : value;
}

async function assertTaken(
  storage: TaskStorage,
  { readBack }: ContractArgument,
  value: unknown,
): Promise<void> {
  if (readBack !== undefined && value !== undefined) {
    assertSame(await readBack(storage), asJson(value));
  }
}

/** The same tasks for each call, whatever the one before has made of them. */
async function prepare(storage: TaskStorage): Promise<void> {
  for (const taskId of [TASK_ID, 'new']) {
    await storage.deleteTask(taskId);
  }
  await storage.createTask(minimalTask(TASK_ID));
}

async function assertLossless(
  storage: TaskStorage,
  argument: ContractArgument,
  value: unknown,
): Promise<void> {
  const running = argument.callWith(storage, value)();
  assert.equal(typeof running.then, 'function', 'The operation did not answer a promise');
  try {
    await running;
  } catch (error) {
    if (!(error instanceof TaskStorageError)) {
      throw new assert.AssertionError({
        message: `The operation rejected with ${String(error)}; it must be a TaskStorageError`,
        actual: error,
      });
    }
    if (!OTHER_REFUSALS.has(error.code)) {
      assertNamed(argument, error);
    }
    return;
  }
  await assertTaken(storage, argument, value);
}

export const generatedArgumentsGroup: ConformanceGroup = {
  title: 'generated arguments',
  define(test) {
    for (const [subject, contract] of Object.entries(contractArguments)) {
      test(`${subject} are stored as they are, or refused by name`, async ({ storage }) => {
        await fc.assert(
          fc
            .asyncProperty(fc.constantFrom(...contract), hostileValue, async (argument, value) =>
              assertLossless(storage, argument, value),
            )
            .beforeEach(async () => prepare(storage)),
          {
            numRuns: contract.length * RUNS_PER_ARGUMENT,
            interruptAfterTimeLimit: TIME_LIMIT_MS,
            markInterruptAsFailure: true,
          },
        );
        assert.equal(Reflect.get({}, 'polluted'), undefined, 'A prototype was polluted');
      });
    }
  },
};
