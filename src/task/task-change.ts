/**
 * A hint that something may be new in the storage.
 *
 * - `written`: the task or its log was written.
 * - `ended`: the task has ended or was deleted; there is room for another.
 * - `queued`: the task waits to be claimed.
 * - `missed`: hints may have been lost; `taskId` is empty. Look at everything.
 */
export interface TaskChange {
  readonly kind: 'written' | 'ended' | 'queued' | 'missed';
  readonly taskId: string;
}

/**
 * Hints about changes, of this process and of others on the same storage. The storage itself is the
 * truth: a hint comes after what it tells of can be read, and may be late, repeated or lost, which
 * costs nothing but time. A backend that knows nothing of other processes gives hints of its own
 * changes alone.
 */
export interface TaskChanges {
  /**
   * Whether the changes of other processes arrive at present. A reader that relies on hints looks
   * more often by itself while this is `false`.
   */
  readonly isLive: boolean;

  /**
   * Calls back for each hint, never from within a storage operation.
   *
   * @returns ends the listening
   */
  listen(listener: (change: TaskChange) => void): () => void;
}
