import type { PageTokenCodec } from '../../task/page-token.js';
import type { TaskChange } from '../../task/task-change.js';
import type { GatheredCalls } from './gathered-calls.js';
import type { PostgresConnection } from './postgres-connection.js';
import type { SchemaNames } from './schema-names.js';

/** Takes hints about what was written; called after the write was committed. */
export interface ChangeAnnouncer {
  announce(change: TaskChange): void;
}

/** What all parts of one storage share. */
export interface PostgresContext {
  readonly connection: PostgresConnection;
  /** The calls that share statements with others. */
  readonly calls: GatheredCalls;
  readonly names: SchemaNames;
  readonly pageTokens: PageTokenCodec;
  readonly changes: ChangeAnnouncer;
  /** Is told what the operator should know. */
  readonly onWarning: (message: string) => void;
}
