import type { TaskStorage } from '../task/task-storage.js';
import type { Capability, TaskStorageCapabilities, TaskStorageHarness } from './harness.js';

/** What one test gets. The functions fail when the harness lacks what its capabilities promise. */
export interface ConformanceTest {
  readonly storage: TaskStorage;
  readonly capabilities: TaskStorageCapabilities;
  readonly passDays: (days: number) => Promise<void>;
  readonly reopen: () => Promise<TaskStorage>;
  readonly breakConnection: () => Promise<void>;
  readonly restoreConnection: () => Promise<void>;
}

/** Defines one test, whose name is a sentence. */
export type DefineTest = (name: string, run: (test: ConformanceTest) => Promise<void>) => void;

/** Tests of one part of the contract. */
export interface ConformanceGroup {
  readonly title: string;
  /** Left out when every harness can run the group. */
  readonly requires?: Capability;
  define(test: DefineTest): void;
}

function promised<K extends keyof TaskStorageHarness>(
  harness: TaskStorageHarness,
  capability: Capability,
  name: K,
): NonNullable<TaskStorageHarness[K]> {
  const ability = harness[name];
  if (ability === undefined) {
    throw new Error(`The harness has no ${name}; write it, or set ${capability} to false`);
  }
  return ability;
}

/** Joins a harness with checks that it can do what its capabilities promise. */
export function conformanceTest(
  harness: TaskStorageHarness,
  capabilities: TaskStorageCapabilities,
): ConformanceTest {
  return {
    storage: harness.storage,
    capabilities,
    passDays: (days) => promised(harness, 'ages', 'passDays').call(harness, days),
    reopen: () => promised(harness, 'durable', 'reopen').call(harness),
    breakConnection: () => promised(harness, 'breakable', 'breakConnection').call(harness),
    restoreConnection: () => promised(harness, 'breakable', 'restoreConnection').call(harness),
  };
}
