import type { TaskStorage } from '../task/task-storage.js';
import type { TestApi } from './test-api.js';

/** A storage of the backend under test, and what the tests may do to it. */
export interface TaskStorageHarness {
  /** Empty, and used by this one test only. */
  readonly storage: TaskStorage;
  /** Gives everything back. The test may have closed the storage before. */
  dispose(): Promise<void>;
  /**
   * Makes everything stored so far this many whole days older, either by moving the clock on or by
   * moving the stored times back, the ends of leases included. For the capability `ages`.
   */
  passDays?(days: number): Promise<void>;
  /**
   * Opens another storage on the same data, as a second process would; the test closes it. It also
   * works after `storage` was closed, as after a restart. For the capability `durable`.
   */
  reopen?(): Promise<TaskStorage>;
  /** Makes the backend unreachable for `storage`. For the capability `breakable`. */
  breakConnection?(): Promise<void>;
  /** Makes it reachable again. For the capability `breakable`. */
  restoreConnection?(): Promise<void>;
}

/** Called once for each test: what is expensive, such as a server, is worth sharing between calls. */
export type TaskStorageFactory = () => Promise<TaskStorageHarness>;

/** What the harness can do. The tests of a capability that is off are reported as skipped. */
export interface TaskStorageCapabilities {
  /** The harness has `passDays`. */
  readonly ages: boolean;
  /** The data outlives a storage object and can be shared: the harness has `reopen`. */
  readonly durable: boolean;
  /** The backend can be lost: the harness has `breakConnection` and `restoreConnection`. */
  readonly breakable: boolean;
  /** How many random sequences of operations are compared with a model. Default 30. */
  readonly randomSequences?: number | undefined;
  /** How many milliseconds the hint of a change may take to come. Default 5000. */
  readonly hintsWithinMs?: number | undefined;
  /** The test runner's functions. Default: the global ones. */
  readonly testApi?: TestApi | undefined;
}

/** The name of something that only some harnesses can do. */
export type Capability = 'ages' | 'durable' | 'breakable';
