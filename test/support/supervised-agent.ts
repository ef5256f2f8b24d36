import { Logger } from '@nestjs/common';
import { createMemoryTaskStorage } from '../../src/storage/memory/index.js';
import { toTaskScope, type TaskScope } from '../../src/agent/task-scope.js';
import type { TaskEvent } from '../../src/task/task-event.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { createAgentParts, type AgentParts } from './agent-parts.js';
import { createGate } from './gate.js';
import { interceptStorage } from './intercepted-storage.js';
import { ManualChanges, withChanges } from './manual-changes.js';
import { ManualClock } from './manual-clock.js';
import { RecordingLogger } from './recording-logger.js';
import { ScriptedRunner } from './scripted-runner.js';

/** The default of the service. */
export const LEASE_MS = 30_000;

/** A supervisor in memory, and everything around it in the hands of a test. */
export class SupervisedAgent {
  readonly clock = new ManualClock();
  readonly changes = new ManualChanges();
  readonly runner = new ScriptedRunner(false);
  readonly logger = new RecordingLogger();
  readonly #intercepted = interceptStorage(withChanges(createMemoryTaskStorage(), this.changes));
  readonly #parts = createAgentParts(this.storage, this.clock, this.runner, { leaseMs: LEASE_MS });

  constructor() {
    Logger.overrideLogger(this.logger);
    this.keeper.start();
  }

  get storage(): TaskStorage {
    return this.#intercepted.storage;
  }

  /** That of a caller who may see the tasks of all tenants. */
  get scope(): TaskScope {
    return toTaskScope(this.storage, null);
  }

  get supervisor(): AgentParts['supervisor'] {
    return this.#parts.supervisor;
  }

  get keeper(): AgentParts['keeper'] {
    return this.#parts.keeper;
  }

  /** Follows a task to its end. */
  async eventsOf(taskId: string): Promise<TaskEvent[]> {
    const { signal } = new AbortController();
    const events: TaskEvent[] = [];
    for await (const event of this.#parts.follower.follow(this.storage, taskId, 0, signal)) {
      events.push(event);
    }
    return events;
  }

  async stagesOf(taskId: string): Promise<string[]> {
    return (await this.eventsOf(taskId)).map(({ stage }) => stage);
  }

  /** Holds back the next call of an operation until the gate is opened. */
  holdBack(operation: string) {
    const reached = createGate();
    const gate = createGate();
    this.#intercepted.intercept(async (name) => {
      if (name === operation) {
        this.#intercepted.intercept(null);
        reached.open();
        await gate.opened;
      }
    });
    return { reached: reached.opened, letGo: () => gate.open() };
  }

  /** Has the storage refuse the next calls of an operation. */
  refuse(operation: string, refusals: number, error: Error): void {
    let left = refusals;
    this.#intercepted.intercept(async (name) => {
      if (name === operation && left > 0) {
        left -= 1;
        throw error;
      }
    });
  }

  /** What is asked of the storage while a time passes. */
  async operationsWithin(ms: number): Promise<string[]> {
    const operations: string[] = [];
    this.#intercepted.intercept(async (operation) => void operations.push(operation));
    await this.clock.advance(ms);
    return operations;
  }
}
