import { randomBytes } from 'node:crypto';
import type { TaskChange, TaskChanges } from '../../task/task-change.js';
import { ChangeListener } from './change-listener.js';
import { ChangeNotifier } from './change-notifier.js';
import { isFrom, MISSED, packPayloads, readPayload } from './change-payload.js';
import { OtherListeners } from './other-listeners.js';
import type { PostgresConnection } from './postgres-connection.js';
import type { ChangeAnnouncer } from './postgres-context.js';
import type { SqlStatement } from './sql-parameters.js';

/** Hints about changes: those of this storage directly, those of others as notifications. */
export class PostgresChanges implements TaskChanges, ChangeAnnouncer {
  /** Tells our own notifications from those of others. */
  readonly #sender = randomBytes(6).toString('base64url');
  readonly #notifier: ChangeNotifier;
  readonly #listener: ChangeListener;
  readonly #others: OtherListeners;
  readonly #listening = new Set<{ readonly listener: (change: TaskChange) => void }>();
  #announced: TaskChange[] = [];

  constructor(
    connection: PostgresConnection,
    private readonly channel: string,
    onWarning: (message: string) => void,
  ) {
    this.#notifier = new ChangeNotifier(this.#sender, async (payloads) =>
      connection.send(this.#notification(payloads)),
    );
    const lock = `nestjs-task-storage:${channel}:listens`;
    this.#others = new OtherListeners(connection.send, lock, () => this.#notifier.add(MISSED));
    const hello = this.#notification(packPayloads(this.#sender, []));
    this.#listener = new ChangeListener(
      connection,
      { channel, lock, hello },
      {
        onPayload: (payload) => this.#receive(payload),
        onLive: (pid) => {
          this.#others.replaceSession(pid);
          this.#emit(MISSED);
        },
        onWarning,
      },
    );
  }

  get isLive(): boolean {
    return this.#listener.isLive;
  }

  listen(listener: (change: TaskChange) => void): () => void {
    const entry = { listener };
    this.#listening.add(entry);
    return () => {
      this.#listening.delete(entry);
    };
  }

  announce(change: TaskChange): void {
    if (!this.#listener.isLive || this.#others.isHintWanted()) {
      this.#notifier.add(change);
    }
    if (this.#listening.size > 0 && this.#announced.push(change) === 1) {
      // Whoever made the change goes on first.
      setImmediate(() => this.#emitAnnounced());
    }
  }

  /** Begins to hear of the changes of others, in its own time. */
  start(): void {
    void this.#listener.run();
  }

  /** Lets go of the session, and sends what is still to be sent. */
  async close(): Promise<void> {
    this.#listener.stop();
    await this.#notifier.finish();
    this.#listening.clear();
  }

  #notification(payloads: readonly string[]): SqlStatement {
    return {
      // Nothing is lost with a hint, so that its commit waits for no disk, nor makes others wait.
      text: `SELECT pg_notify($1, payload), set_config('synchronous_commit', 'off', true)
        FROM unnest($2::text[]) AS payload`,
      values: [this.channel, payloads],
    };
  }

  #receive(payload: string): void {
    if (!isFrom(this.#sender, payload)) {
      this.#others.hearOther();
      readPayload(payload).forEach((change) => this.#emit(change));
    }
  }

  #emitAnnounced(): void {
    const announced = this.#announced;
    this.#announced = [];
    announced.forEach((change) => this.#emit(change));
  }

  #emit(change: TaskChange): void {
    for (const entry of this.#listening) {
      try {
        entry.listener(change);
      } catch {
        // A hint that is lost costs time only, and the others are to hear of it.
      }
    }
  }
}
