import type { MeasuredRow } from '../measure/alternation.js';

/** One row of the table. */
export interface BenchRow extends MeasuredRow {
  /** What is done, such as `get` or `list page 5,000`. */
  readonly work: string;
  readonly backend: 'memory' | 'Postgres' | 'gRPC, memory' | 'gRPC, Postgres';
  readonly callers: number;
}
