import type { TaskView } from '../../task/task-storage.js';
import type { PostgresConnection, SqlRow } from './postgres-connection.js';
import { changeTasks } from './change-statement.js';
import type { GuardedChange } from './guarded-change.js';
import { hasLimit, lockAdmission } from './admission.js';
import { insertTasks, type Creation } from './create-statement.js';
import { harmsOthers } from './postgres-errors.js';
import { selectByIds, type WantedTask } from './read-statements.js';
import { CreationRefusals, refusalOfChange } from './refusals.js';
import type { SchemaNames } from './schema-names.js';
import {
  StatementGatherer,
  type GathererLimits,
  type Outcome,
  type SendTogether,
  type Sharing,
} from './statement-gatherer.js';
import { StatementLane } from './statement-lane.js';
import { sizeOf } from './task-fields.js';
import { readNumber, readText } from './task-rows.js';

/** How many shared reads, or writes, are under way: one is worked on while another is answered. */
const MAX_SHARED = 2;

/** A read is over so soon that few others gain by not waiting for it, and many cost one statement. */
const MIN_READS_BESIDE = 16;

/** About how much one call sends beside its texts. */
const CALL_BYTES = 256;

/** What a creation came to; an error is the limit that was reached. */
type Created = boolean | Error;

/** The calls of one process that share statements, by what they do. */
export class GatheredCalls {
  readonly #reads: Readonly<Record<TaskView, StatementGatherer<WantedTask, SqlRow | null>>>;
  readonly #creations: StatementGatherer<Creation, Created>;
  readonly #limitedCreations: StatementGatherer<Creation, Created>;
  readonly #changes: StatementGatherer<GuardedChange, SqlRow | null>;

  /**
   * @param maxConnections how many connections there are; calls that wait for locks leave most to others
   * @param waitLimitMs how long a call may wait before it is sent
   */
  constructor(
    private readonly connection: PostgresConnection,
    private readonly names: SchemaNames,
    maxConnections: number,
    waitLimitMs: number,
  ) {
    const maxSingle = Math.max(1, Math.floor(maxConnections / 3));
    const gather = <Request, Answer>(
      send: SendTogether<Request, Answer>,
      limits: Pick<GathererLimits, 'lane'> & Partial<GathererLimits>,
    ) =>
      new StatementGatherer(send, { minBeside: 1, maxSingle, waitLimitMs, ...limits }, harmsOthers);
    const openLane = () => new StatementLane({ maxShared: MAX_SHARED, maxSlow: maxSingle });
    const reads = { lane: openLane(), minBeside: MIN_READS_BESIDE };
    this.#reads = {
      full: gather((tasks, how) => this.#read('full', tasks, how), reads),
      summary: gather((tasks, how) => this.#read('summary', tasks, how), reads),
    };
    const writes = { lane: openLane() };
    this.#creations = gather((tasks) => this.#create(tasks), writes);
    this.#changes = gather((changes, how) => this.#change(changes, how), writes);
    this.#limitedCreations = gather((tasks) => this.#createLimited(tasks), {
      // They take turns at one lock anyway, and keep their order unless a connection is dead.
      lane: new StatementLane({ maxShared: 1, maxSlow: 1, slowAfterMs: 1_000 }),
      maxSingle: 1,
    });
  }

  /** @returns the row, or `null` when there is no such task */
  get(wanted: WantedTask, view: TaskView): Promise<SqlRow | null> {
    return this.#reads[view].run({ request: wanted, key: null, group: '', bytes: CALL_BYTES });
  }

  /**
   * @returns `false` when the id is taken
   * @throws {TaskLimitReachedError} when there is no room
   */
  async create(creation: Creation): Promise<boolean> {
    const { task, maxActiveTasks, maxActiveTasksPerTenant } = creation;
    const gatherer = hasLimit(creation) ? this.#limitedCreations : this.#creations;
    const created = await gatherer.run({
      request: creation,
      key: task.taskId,
      group: `${maxActiveTasks} ${maxActiveTasksPerTenant}`,
      bytes: bytesOf(creation),
    });
    if (created instanceof Error) {
      throw created;
    }
    return created;
  }

  /**
   * @returns what the change answered, if it has events `last_event_sequence`, or `null` when there is no such task
   * @throws {TaskStorageError} when the task, as it is, refuses the change
   */
  async change(change: GuardedChange): Promise<SqlRow | null> {
    const row = await this.#changes.run({
      request: change,
      key: change.taskId,
      group: '',
      bytes: bytesOf(change),
    });
    if (row?.['changed'] === false) {
      throw refusalOfChange(change, row);
    }
    return row;
  }

  /** Takes no more calls, and lets those that wait be sent and answered. */
  async close(): Promise<void> {
    const { full, summary } = this.#reads;
    const all = [full, summary, this.#creations, this.#limitedCreations, this.#changes];
    await Promise.all(all.map(async (gatherer) => gatherer.close()));
  }

  async #read(
    view: TaskView,
    wanted: readonly WantedTask[],
    sharing: Sharing,
  ): Promise<readonly Outcome<SqlRow | null>[]> {
    // Who asks for the same as another gets the same row, of which each makes a task of its own.
    const positions = new Map<string, number>();
    const unique: WantedTask[] = [];
    const places = wanted.map((task) => {
      const key = `${task.tenantId ?? ''}\0${task.taskId}`;
      const position = positions.get(key) ?? unique.push(task);
      positions.set(key, position);
      return position;
    });
    // A single task keeps nobody waiting, however large it is.
    const readsLarge = sharing !== 'shared' || unique.length === 1;
    const rows = await this.connection.send(selectByIds(this.names, view, unique, readsLarge));
    const found = new Map(rows.map((row) => [readNumber(row, 'position'), row]));
    return places.map((position) => {
      const row = found.get(position) ?? null;
      return row?.['task'] === null ? ALONE : answered(row);
    });
  }

  async #create(creations: readonly Creation[]): Promise<readonly Outcome<Created>[]> {
    const statement = insertTasks(this.names, creations);
    if (creations.length === 1 && !hasEvents(creations)) {
      return [answered((await this.connection.write(statement)) === 1)];
    }
    const rows = await this.connection.send(statement);
    const created = new Set(rows.map((row) => readText(row, 'task_id')));
    return creations.map(({ task }) => answered(created.has(task.taskId)));
  }

  async #createLimited(creations: readonly Creation[]): Promise<readonly Outcome<Created>[]> {
    const rows = await this.connection.transaction(lockAdmission(this.names), async (send) =>
      send(insertTasks(this.names, creations)),
    );
    const refusals = new CreationRefusals();
    return creations.map((creation, index) => answered(refusals.judge(creation, rows[index])));
  }

  async #change(
    changes: readonly GuardedChange[],
    sharing: Sharing,
  ): Promise<readonly Outcome<SqlRow | null>[]> {
    const statement = changeTasks(this.names, changes, CHANGE_MODES[sharing]);
    if (sharing === 'single') {
      // Why nothing was changed is asked with a statement that costs more.
      if (!hasEvents(changes)) {
        return [(await this.connection.write(statement)) === 0 ? ALONE : answered({})];
      }
      const [row] = await this.connection.send(statement);
      return [row === undefined ? ALONE : answered(row)];
    }
    const rows = await this.connection.send(statement);
    return rows.map((row) =>
      row['passed_over'] === true ? PATIENTLY : answered(row['met'] === true ? row : null),
    );
  }
}

const ALONE = { kind: 'alone' } as const;
const PATIENTLY = { kind: 'patiently' } as const;

/** Why a single change was refused is told by the statement that passes over what is locked. */
const CHANGE_MODES = {
  shared: 'pass',
  single: 'wait',
  alone: 'pass',
  patiently: 'explain',
} as const;

function answered<Answer>(answer: Answer): Outcome<Answer> {
  return { kind: 'answer', answer };
}

function hasEvents(calls: readonly Pick<GuardedChange, 'events'>[]): boolean {
  return calls.some(({ events }) => events.length > 0);
}

function bytesOf({ values, events }: Pick<GuardedChange, 'values' | 'events'>): number {
  let bytes = CALL_BYTES + sizeOf(values);
  for (const { stage, message } of events) {
    bytes += stage.length + message.length;
  }
  return bytes;
}
