import { createHash } from 'node:crypto';
import { InvalidTaskError } from '../../task/errors.js';

/** Postgres cuts longer names off silently (NAMEDATALEN - 1), and two cut names can collide. */
const MAX_IDENTIFIER_BYTES = 63;
/** Room for what is put before and after the name of the table, such as `idx_..._ended_unseen`. */
const MAX_TABLE_BYTES = 40;

/** The names of everything that the storage has in the database, quoted as identifiers. */
export class SchemaNames {
  /** The tasks, `"public"."agent_tasks"` by default. */
  readonly tasks: string;
  readonly events: string;
  readonly settings: string;
  readonly migrations: string;

  /** @throws {InvalidTaskError} when a name is empty or too long */
  constructor(
    readonly schema: string,
    readonly table: string,
  ) {
    assertFits('schema', schema, MAX_IDENTIFIER_BYTES);
    assertFits('table', table, MAX_TABLE_BYTES);
    this.tasks = this.#qualified(table);
    this.events = this.#qualified(`${table}_events`);
    this.settings = this.#qualified(`${table}_settings`);
    this.migrations = this.#qualified(this.migrationsTable);
  }

  /** Unquoted, as TypeORM takes it. The original's own `schema_migrations` is left alone. */
  get migrationsTable(): string {
    return `${this.table}_migrations`;
  }

  /** An index's name in the style of the original: `idx_agent_tasks_status`. */
  index(columns: string): string {
    return quoteIdentifier(`idx_${this.table}_${columns}`);
  }

  /** The text from which an advisory lock for some purpose on these tables is derived. */
  lock(purpose: string): string {
    return `nestjs-task-storage:${this.schema}.${this.table}:${purpose}`;
  }

  /** The channel of the notifications about these tables. Hashed, because the name must be short. */
  get channel(): string {
    const hash = createHash('sha256').update(`${this.schema}.${this.table}`).digest('hex');
    return `nts_${hash.slice(0, 32)}`;
  }

  #qualified(name: string): string {
    return `${quoteIdentifier(this.schema)}.${quoteIdentifier(name)}`;
  }
}

/** Quotes a name, so that whatever it holds stays one identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** TypeORM, which keeps the table of the migrations, neither quotes these nor keeps them apart. */
const UNQUOTABLE = /[".\0]/;

function assertFits(option: string, name: string, maxBytes: number): void {
  if (name === '' || UNQUOTABLE.test(name) || Buffer.byteLength(name) > maxBytes) {
    throw new InvalidTaskError(
      option,
      `is ${JSON.stringify(name)}; write a name of 1 to ${maxBytes} bytes without dots and quotation marks`,
    );
  }
}
