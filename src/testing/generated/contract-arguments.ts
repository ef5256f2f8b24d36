import type { TaskOperations, TaskStorage } from '../../task/task-storage.js';
import { call } from '../hostile-samples.js';
import { LONG_LEASE_MS } from '../lease-samples.js';
import { event, minimalTask } from '../samples.js';

/** The id of the task that calls are about. */
export const TASK_ID = 'task';

/** One argument of one operation, or a field inside it, and everything else about the call as usual. */
export interface ContractArgument {
  readonly operation: string;
  /** What the error of a refused value names, or what it names a part of. */
  readonly field: string;
  /** @returns the call with the value in the place of the argument */
  readonly callWith: (storage: TaskStorage, value: unknown) => () => Promise<unknown>;
  /** Reads what the call has stored of the value; left out when it stores nothing of it. */
  readonly readBack?: (storage: TaskStorage) => Promise<unknown>;
}

type Call = (storage: TaskStorage, value: unknown) => () => Promise<unknown>;

const NEW_TASK_ID = 'new';
const TERM = { owner: 'process', leaseMs: LONG_LEASE_MS };

function argument(operation: string, field: string, callWith: Call): ContractArgument {
  return { operation, field, callWith };
}

/** Options that each may be wrong, and their whole. */
function options(
  operation: string,
  names: readonly string[],
  callWith: Call,
  usual: object = {},
): ContractArgument[] {
  return [
    argument(operation, 'options', callWith),
    ...names.map((name) =>
      argument(operation, name, (storage, value) => callWith(storage, { ...usual, [name]: value })),
    ),
  ];
}

/** The places inside of options that take a lease or events. */
function nestedOptions(operation: string, callWith: Call, lease: object): ContractArgument[] {
  const inLease = Object.keys(lease).map((name) =>
    argument(operation, `lease.${name}`, (storage, value) =>
      callWith(storage, { lease: { ...lease, [name]: value } }),
    ),
  );
  const inEvents = ['stage', 'message'].map((name) =>
    argument(operation, `events[0].${name}`, (storage, value) =>
      callWith(storage, { events: [{ ...event('a'), [name]: value }] }),
    ),
  );
  return [...inLease, ...inEvents];
}

function fieldOf(taskId: string, field: string): (storage: TaskStorage) => Promise<unknown> {
  return async (storage) => {
    const task = await storage.getTask(taskId);
    return task === null ? undefined : Reflect.get(task, field);
  };
}

const create: Call = (storage, given) =>
  call(storage, 'createTask', minimalTask(NEW_TASK_ID), given);
const update: Call = (storage, given) => call(storage, 'updateTask', TASK_ID, {}, given);

const NEW_TASK_FIELDS = [
  'query',
  'maxSteps',
  'timestampDir',
  'executionStatistics',
  'sandboxInfo',
  'requestData',
  'conversationHistory',
  'sealedRequest',
  'maxAttempts',
];
const UPDATED_FIELDS = [...NEW_TASK_FIELDS.slice(0, -2), 'finalState', 'result', 'error'];

/** A call that TypeScript would refuse, and that answers no promise. */
function tenantOf(storage: TaskStorage, tenantId: unknown): TaskOperations {
  const { forTenant }: { forTenant: (tenantId: never) => TaskOperations } = {
    forTenant: (id) => storage.forTenant(id),
  };
  return Reflect.apply(forTenant, null, [tenantId]);
}

const tasks: readonly ContractArgument[] = [
  argument('createTask', 'task', (storage, value) => call(storage, 'createTask', value)),
  ...['taskId', 'tenantId', 'status'].map((field) =>
    argument('createTask', field, (storage, value) =>
      call(storage, 'createTask', { ...minimalTask(NEW_TASK_ID), [field]: value }),
    ),
  ),
  ...NEW_TASK_FIELDS.map((field) => ({
    ...argument('createTask', field, (storage, value) =>
      call(storage, 'createTask', { ...minimalTask(NEW_TASK_ID), [field]: value }),
    ),
    readBack: fieldOf(NEW_TASK_ID, field),
  })),
  ...options(
    'createTask',
    ['maxActiveTasks', 'maxActiveTasksPerTenant', 'lease', 'queue', 'events'],
    create,
  ),
  ...nestedOptions('createTask', create, TERM),
  argument('updateTask', 'taskId', (storage, value) => call(storage, 'updateTask', value, {})),
  argument('updateTask', 'updates', (storage, value) =>
    call(storage, 'updateTask', TASK_ID, value),
  ),
  argument('updateTask', 'status', (storage, value) =>
    call(storage, 'updateTask', TASK_ID, { status: value }),
  ),
  ...UPDATED_FIELDS.map((field) => ({
    ...argument('updateTask', field, (storage, value) =>
      call(storage, 'updateTask', TASK_ID, { [field]: value }),
    ),
    readBack: fieldOf(TASK_ID, field),
  })),
  ...options('updateTask', ['expectedVersion', 'lease', 'expectedSequence', 'events'], update),
  ...nestedOptions('updateTask', update, { owner: 'process', attempt: 1 }),
  argument('deleteTask', 'taskId', (storage, value) => call(storage, 'deleteTask', value)),
];

const reads: readonly ContractArgument[] = [
  argument('getTask', 'taskId', (storage, value) => call(storage, 'getTask', value)),
  ...options('getTask', ['view'], (storage, given) => call(storage, 'getTask', TASK_ID, given)),
  ...options('listTasks', ['status', 'limit', 'offset', 'pageToken', 'view'], (storage, given) =>
    call(storage, 'listTasks', given),
  ),
  argument('cleanupOldTasks', 'olderThanDays', (storage, value) =>
    call(storage, 'cleanupOldTasks', value),
  ),
  ...options('cleanupOldTasks', ['statuses', 'limit', 'dryRun'], (storage, given) =>
    call(storage, 'cleanupOldTasks', 36_500, given),
  ),
  argument('listEvents', 'taskId', (storage, value) => call(storage, 'listEvents', value)),
  ...options('listEvents', ['afterSequence', 'limit'], (storage, given) =>
    call(storage, 'listEvents', TASK_ID, given),
  ),
];

const rest: readonly ContractArgument[] = [
  argument('appendEvents', 'taskId', (storage, value) =>
    call(storage, 'appendEvents', value, [event('a')]),
  ),
  argument('appendEvents', 'events', (storage, value) =>
    call(storage, 'appendEvents', TASK_ID, value),
  ),
  ...options('appendEvents', ['lease', 'expectedSequence'], (storage, given) =>
    call(storage, 'appendEvents', TASK_ID, [event('a')], given),
  ),
  argument('getSetting', 'name', (storage, value) => call(storage.settings, 'getSetting', value)),
  argument('putSetting', 'name', (storage, value) =>
    call(storage.settings, 'putSetting', value, {}, 0),
  ),
  {
    ...argument('putSetting', 'value', (storage, value) =>
      call(storage.settings, 'putSetting', 'name', value, 0),
    ),
    readBack: async (storage) => (await storage.settings.getSetting('name'))?.value,
  },
  argument('putSetting', 'expectedVersion', (storage, value) =>
    call(storage.settings, 'putSetting', 'name', {}, value),
  ),
  ...options(
    'claimQueued',
    ['owner', 'leaseMs', 'limit', 'maxHeldTasks', 'maxHeldTasksPerTenant'],
    (storage, given) => call(storage.leases, 'claimQueued', given),
    { ...TERM, limit: 1 },
  ),
  ...options(
    'claimExpired',
    ['owner', 'leaseMs', 'limit', 'resumableAfterMs', 'staleRunningMinutes'],
    (storage, given) => call(storage.leases, 'claimExpired', given),
    { ...TERM, limit: 1 },
  ),
  ...options(
    'renew',
    ['owner', 'leaseMs', 'taskIds'],
    (storage, given) => call(storage.leases, 'renew', given),
    TERM,
  ),
  argument(
    'forTenant',
    'tenantId',
    (storage, value) => async () => tenantOf(storage, value).countActiveTasks(),
  ),
];

/** Every argument of the contract, by what a report is to say of them. */
export const contractArguments: Readonly<Record<string, readonly ContractArgument[]>> = {
  'for the tasks': tasks,
  'for what is read and deleted': reads,
  'for events, settings, leases and tenants': rest,
};
