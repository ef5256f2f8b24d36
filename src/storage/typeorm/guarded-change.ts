import type { NewTaskEvent } from '../../task/task-event.js';
import { ACTIVE_STATUSES, isTerminal, predecessorsOf } from '../../task/task-lifecycle.js';
import type { TaskUpdates } from '../../task/task.js';
import type { WriteGuards } from '../../task/write-guards.js';
import type { InputColumn } from './input-rows.js';
import type { FieldValues } from './task-fields.js';

/** A change of one task: everything that must hold is checked in the statement that writes. */
export interface GuardedChange extends WriteGuards {
  readonly taskId: string;
  /** Only a task of this tenant; `null` for any. */
  readonly tenantId: string | null;
  /** `null` to add events alone, which leaves version and `updatedAt` as they are. */
  readonly updates: TaskUpdates | null;
  /** The values of the updates. */
  readonly values: FieldValues;
  readonly expectedVersion: number | null;
  readonly events: readonly NewTaskEvent[];
}

/** A column of what a statement is given of changes. */
export type ChangeColumn = InputColumn<GuardedChange>;

/** Something that must hold of a row. Whoever has waited for its lock sees it as it is then. */
export interface Guard {
  readonly isGiven: (change: GuardedChange) => boolean;
  readonly columns: readonly ChangeColumn[];
  /** Holds for a change that does not ask for it, whose columns are `NULL`. */
  readonly condition: string;
}

export const OF_TENANT: Guard = {
  isGiven: ({ tenantId }) => tenantId !== null,
  columns: [{ name: 'tenant_id', type: 'varchar', read: ({ tenantId }) => tenantId }],
  condition: '(input.tenant_id IS NULL OR task.tenant_id = input.tenant_id)',
};

export const GUARDS: readonly Guard[] = [
  OF_TENANT,
  {
    isGiven: ({ expectedVersion }) => expectedVersion !== null,
    columns: [{ name: 'version', type: 'int', read: ({ expectedVersion }) => expectedVersion }],
    condition: '(input.version IS NULL OR task.version = input.version)',
  },
  {
    isGiven: ({ updates, events }) => updates?.status !== undefined || events.length > 0,
    // As text, because an array of arrays must have the same length everywhere.
    columns: [
      {
        name: 'allowed',
        type: 'text',
        read: (change) => allowedStatuses(change)?.join(' ') ?? null,
      },
    ],
    condition: `(input.allowed IS NULL OR task.status = ANY (string_to_array(input.allowed, ' ')))`,
  },
  {
    isGiven: ({ lease }) => lease !== null,
    columns: [
      { name: 'lease_owner', type: 'varchar', read: ({ lease }) => lease?.owner ?? null },
      { name: 'attempt', type: 'int', read: ({ lease }) => lease?.attempt ?? null },
    ],
    condition: `(input.lease_owner IS NULL
      OR (task.lease_owner = input.lease_owner AND task.attempt = input.attempt))`,
  },
  {
    isGiven: ({ expectedSequence }) => expectedSequence !== null,
    columns: [{ name: 'sequence', type: 'int', read: ({ expectedSequence }) => expectedSequence }],
    condition: '(input.sequence IS NULL OR task.last_event_sequence = input.sequence)',
  },
];

/** The statuses that the task may have now, or `null` when any will do. */
export function allowedStatuses({
  updates,
  events,
}: Pick<GuardedChange, 'updates' | 'events'>): readonly string[] | null {
  if (updates?.status !== undefined) {
    return predecessorsOf(updates.status);
  }
  return events.length > 0 ? ACTIVE_STATUSES : null;
}

/** Whether the update ends the task for good. */
export function endsTask(updates: TaskUpdates | null): boolean {
  return updates?.status !== undefined && isTerminal(updates.status);
}
