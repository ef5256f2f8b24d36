import fc from 'fast-check';
import type { JsonObject } from '../../task/json.js';
import type { NewTaskEvent } from '../../task/task-event.js';
import { TERMINAL_STATUSES } from '../../task/task-lifecycle.js';
import { TASK_STATUSES, type NewTask, type TaskUpdates } from '../../task/task.js';
import { admission, fewTasks, guard, leaseOperations } from './lease-operations.js';
import { CALLERS, TASK_IDS, type Caller, type Operation } from './operation.js';

const caller = fc.constantFrom<Caller>(null, null, ...CALLERS);
const taskId = fc.constantFrom(...TASK_IDS);
const word = fc.constantFrom('', ' ', 'finished', 'Über', 'C:\\u0000', '\u{1F98A}');
const steps = fc.integer({ min: 1, max: 2_147_483_647 });
const json: fc.Arbitrary<JsonObject | null> = fc.option(
  fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 })).map(toJsonObject),
);

/** Makes `-0` a `0`, and gives the keys the prototype that parsed JSON has. */
function toJsonObject(value: Record<string, unknown>): JsonObject {
  const object: JsonObject = JSON.parse(JSON.stringify(value));
  return object;
}

const someEvents: fc.Arbitrary<NewTaskEvent[]> = fc.array(
  fc.record({ stage: fc.constantFrom('a', 'b', 'ü'), message: word }),
  { minLength: 1, maxLength: 3 },
);
const noEvents = fc.constant<NewTaskEvent[]>([]);
const events = fc.oneof(noEvents, noEvents, someEvents);

const task: fc.Arbitrary<NewTask> = fc
  .tuple(
    fc.record({ taskId, query: word, maxSteps: steps }),
    fc.record(
      {
        status: fc.constantFrom(undefined, 'pending' as const, 'running' as const),
        timestampDir: fc.option(word),
        requestData: json,
        sandboxInfo: json,
        sealedRequest: fc.option(word),
        maxAttempts: fc.constantFrom(1, 2, 3),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([required, optional]) => ({ ...required, ...optional }));

const updates: fc.Arbitrary<TaskUpdates> = fc.record(
  {
    status: fc.constantFrom(undefined, undefined, 'finished' as const, ...TASK_STATUSES),
    query: word,
    maxSteps: steps,
    finalState: fc.option(word),
    timestampDir: fc.option(word),
    executionStatistics: json,
    conversationHistory: json,
    result: fc.option(word),
    error: fc.option(word),
  },
  { requiredKeys: [] },
);

const createOptions = fc
  .tuple(
    fc.record({ events, maxActiveTasks: fewTasks, maxActiveTasksPerTenant: fewTasks }),
    admission,
  )
  .map(([limits, admitted]) => ({ ...limits, ...admitted }));

const view = fc.constantFrom(undefined, 'full' as const, 'summary' as const);
const listOptions = {
  status: fc.constantFrom(undefined, undefined, ...TASK_STATUSES),
  view,
};
const smallNumber = fc.integer({ min: 1, max: TASK_IDS.length + 1 });

const weighted = (agesToo: boolean): fc.Arbitrary<Operation> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('create' as const),
        caller,
        task,
        options: createOptions,
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('update' as const),
        caller,
        taskId,
        updates,
        events,
        versionOffset: fc.constantFrom(undefined, undefined, undefined, 0, 0, 1, -1),
        guard,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        caller,
        taskId,
        events: someEvents,
        guard,
      }),
    },
    ...leaseOperations(agesToo),
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('delete' as const), caller, taskId }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('get' as const), caller, taskId, view }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('list' as const),
        caller,
        options: fc.record({
          ...listOptions,
          offset: fc.nat(TASK_IDS.length + 1),
          limit: smallNumber,
        }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('pages' as const),
        caller,
        options: fc.record(listOptions),
        pageSize: smallNumber,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('listEvents' as const),
        caller,
        taskId,
        afterSequence: fc.nat(6),
        limit: smallNumber,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('count' as const), caller }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('cleanup' as const),
        caller,
        days: fc.nat(agesToo ? 3 : 1),
        options: fc.record(
          {
            statuses: fc.subarray([...TERMINAL_STATUSES]),
            limit: smallNumber,
            dryRun: fc.boolean(),
          },
          { requiredKeys: [] },
        ),
      }),
    },
    {
      weight: agesToo ? 2 : 0,
      arbitrary: fc.record({
        kind: fc.constant('passDays' as const),
        caller: fc.constant(null),
        days: fc.integer({ min: 1, max: 2 }),
      }),
    },
  );

/** @param agesToo whether time may pass between the operations */
export function operationSequences(agesToo: boolean): fc.Arbitrary<Operation[]> {
  return fc.array(weighted(agesToo), { minLength: 1, maxLength: 50, size: 'max' });
}
