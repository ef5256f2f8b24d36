import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NewTaskEvent } from '../../task/task-event.js';
import { MAX_PAGE_SIZE } from '../../task/value-parsers.js';
import type { TaskEnding } from './task-ending.js';
import type { TaskProgress } from './task-progress.js';
import type { TaskRecord } from './task-record.js';

/** So much may wait to be written before those who report are asked to wait as well. */
const ROOM_EVENTS = MAX_PAGE_SIZE;
const ROOM_CHARACTERS = 4_000_000;

/** One write takes no more text than this, except a single event that is larger. */
const MAX_BATCH_CHARACTERS = 1_000_000;

/** What a {@link StageWriter} writes to. */
export type StageLog = Pick<TaskRecord, 'append' | 'end'>;

/** How many stages a task has, and may have. */
export interface StageCount {
  readonly used: number;
  readonly most: number;
}

function limitReached(most: number): NewTaskEvent {
  const message = `The task has reached its limit of ${most} stages (TASK_MAX_STAGES); further ones are not stored.`;
  return { stage: 'limit', message };
}

function sizeOf(event: NewTaskEvent): number {
  return event.stage.length + event.message.length;
}

/**
 * Writes what a runner reports, in order and one write at a time: what is reported during a write
 * goes into the next one, so that batches grow exactly as the storage gets slower.
 */
export class StageWriter {
  readonly #queue: NewTaskEvent[] = [];
  #queuedCharacters = 0;
  #progress: TaskProgress | null = null;
  #state: 'open' | 'closed' | 'lost' = 'open';
  #writing: Promise<void> | null = null;
  #waiting: (() => void)[] = [];
  #left: number;
  #limitIsTold = false;

  /**
   * @param stages how many the task has already, and may have
   * @param onLost called when the task turns out to be no longer ours to write
   * @param onFailure called with an error that trying again does not help
   */
  constructor(
    private readonly log: StageLog,
    private readonly stages: StageCount,
    private readonly onLost: () => void,
    private readonly onFailure: (error: unknown) => void,
  ) {
    this.#left = stages.most - stages.used;
  }

  /**
   * Resolves when there is room for the next event. Ignored after the end. One above the limit is
   * left out, and the first of them replaced by an event that says so.
   */
  async add(event: NewTaskEvent): Promise<void> {
    if (this.#state === 'open' && this.#left > 0) {
      this.#left -= 1;
      await this.#enqueue(event);
    } else if (this.#state === 'open' && !this.#limitIsTold) {
      this.#limitIsTold = true;
      await this.#enqueue(limitReached(this.stages.most));
    } else {
      // A runner that never stops reporting must not keep the process from everything else.
      await nextTurn();
    }
  }

  async #enqueue(event: NewTaskEvent): Promise<void> {
    this.#queue.push(event);
    this.#queuedCharacters += sizeOf(event);
    this.#startWriting();
    await this.#room();
  }

  /** Keeps the latest value of each field for the next write. Resolves like {@link add}. */
  async saveProgress(progress: TaskProgress): Promise<void> {
    if (this.#state === 'open' && Object.keys(progress).length > 0) {
      this.#progress = { ...this.#progress, ...progress };
      this.#startWriting();
      await this.#room();
    }
  }

  /**
   * Writes what still waits together with the end of the task.
   *
   * @returns `false` when somebody else has ended or deleted it
   */
  async end(ending: TaskEnding): Promise<boolean> {
    if (this.#state === 'open') {
      this.#state = 'closed';
    }
    this.#releaseWaiting();
    await this.#writing;
    for (;;) {
      // The same call takes the terminal event too.
      const events = this.#takeBatch(MAX_PAGE_SIZE - 1);
      if (this.#isLost()) {
        return false;
      }
      if (this.#queue.length === 0) {
        return this.log.end(
          { ...ending, progress: { ...this.#progress, ...ending.progress } },
          events,
        );
      }
      if (!(await this.log.append(events, null))) {
        return false;
      }
    }
  }

  #startWriting(): void {
    this.#writing ??= this.#writeUntilEmpty();
  }

  async #writeUntilEmpty(): Promise<void> {
    while (this.#state === 'open' && (this.#queue.length > 0 || this.#progress !== null)) {
      const progress = this.#progress;
      this.#progress = null;
      try {
        if (!(await this.log.append(this.#takeBatch(MAX_PAGE_SIZE), progress))) {
          this.#state = 'lost';
          this.onLost();
        }
      } catch (error) {
        this.#state = 'closed';
        this.onFailure(error);
      }
      if (this.#hasRoom() || this.#state !== 'open') {
        this.#releaseWaiting();
      }
    }
    // In the same tick as the check of the queue, so that no event falls in between.
    this.#writing = null;
  }

  #takeBatch(maxEvents: number): NewTaskEvent[] {
    let count = 0;
    let characters = 0;
    for (const event of this.#queue.slice(0, maxEvents)) {
      characters += sizeOf(event);
      if (count > 0 && characters > MAX_BATCH_CHARACTERS) {
        characters -= sizeOf(event);
        break;
      }
      count += 1;
    }
    this.#queuedCharacters -= characters;
    return this.#queue.splice(0, count);
  }

  // A method, because the state changes while `end` waits.
  #isLost(): boolean {
    return this.#state === 'lost';
  }

  #hasRoom(): boolean {
    return this.#queue.length < ROOM_EVENTS && this.#queuedCharacters < ROOM_CHARACTERS;
  }

  async #room(): Promise<void> {
    if (!this.#hasRoom()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #releaseWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    waiting.forEach((resolve) => resolve());
  }
}
