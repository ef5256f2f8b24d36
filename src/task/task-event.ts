import type { TaskStatus } from './task.js';

/** Something to be added to a task's log. */
export interface NewTaskEvent {
  /** A short word, 1 to 255 characters, such as `starting` or the name of a step. */
  stage: string;
  /** What to tell a person who follows the task. */
  message: string;
}

/** One entry of a task's log. Sequences start at 1 and have no gaps. */
export interface TaskEvent {
  readonly taskId: string;
  readonly sequence: number;
  readonly stage: string;
  readonly message: string;
  /** The status that the task took together with this event; `null` when it kept its own. */
  readonly status: TaskStatus | null;
  readonly createdAt: Date;
}

/** Which events `listEvents` answers. */
export interface ListEventsOptions {
  /** Only events after this sequence. Default 0: from the first on. */
  afterSequence?: number | undefined;
  /** How many at the most: 1 to 1000. Default 100. */
  limit?: number | undefined;
}
