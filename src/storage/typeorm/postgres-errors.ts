import { types } from 'node:util';
import {
  OutcomeUnknownError,
  TaskStorageError,
  type TaskStorageErrorCode,
} from '../../task/errors.js';

/** What lock_timeout ends a statement with. */
const LOCK_NOT_AVAILABLE = '55P03';

/** SQLSTATE: https://www.postgresql.org/docs/18/errcodes-appendix.html */
const CODE_BY_SQLSTATE: ReadonlyMap<string, TaskStorageErrorCode> = new Map([
  ['26000', 'UNAVAILABLE'], // invalid_sql_statement_name: it was discarded by somebody else
  ['25006', 'UNAVAILABLE'], // read_only_sql_transaction: a standby, or a primary demoted under us
  ['25P03', 'UNAVAILABLE'], // idle_in_transaction_session_timeout: this process was frozen meanwhile
  ['25P04', 'UNAVAILABLE'], // transaction_timeout
  ['40001', 'UNAVAILABLE'], // serialization_failure
  ['40P01', 'UNAVAILABLE'], // deadlock_detected
  ['55000', 'UNAVAILABLE'], // object_not_in_prerequisite_state: a database that takes no connections
  [LOCK_NOT_AVAILABLE, 'UNAVAILABLE'],
  ['57014', 'UNAVAILABLE'], // query_canceled: statement_timeout
  ['3D000', 'MISCONFIGURED'], // invalid_catalog_name: no such database
  ['42P01', 'MISCONFIGURED'], // undefined_table
  ['42703', 'MISCONFIGURED'], // undefined_column
  ['42501', 'MISCONFIGURED'], // insufficient_privilege
  ['3F000', 'MISCONFIGURED'], // invalid_schema_name
]);

const CODE_BY_SQLSTATE_CLASS: ReadonlyMap<string, TaskStorageErrorCode> = new Map([
  ['08', 'UNAVAILABLE'], // connection exceptions
  ['53', 'UNAVAILABLE'], // insufficient resources: disk full, too many connections
  ['57', 'UNAVAILABLE'], // operator intervention: shutting down, starting up
  ['58', 'UNAVAILABLE'], // system errors
  ['28', 'MISCONFIGURED'], // invalid authorization
]);

/** What a single row can do to a statement: lock time-out, deadlock, serialization failure. */
const FAULTS_OF_ONE = new Set([LOCK_NOT_AVAILABLE, '40P01', '40001']);

/** With these the server ends the session: class 08, admin_shutdown and its like, two time-outs. */
const SESSION_ENDED = /^(08...|57P..|25P03|25P04)$/;

/** After these the session is of no more use. */
const SESSION_USELESS = new Set([
  '25006',
  '26000', // invalid_sql_statement_name: somebody else discarded what was prepared
]);

const NETWORK_ERRORS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);

/** What node-postgres says without giving the error a code. */
const CONNECTION_MESSAGES =
  /^(cached plan must not change result type|timeout exceeded when trying to connect|timeout expired|Connection terminated|Query read timeout|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end|Driver not Connected|Query runner already released|QueryRunnerAlreadyReleased|The server does not support SSL|sorry, too many clients)/;

/** With these node-postgres refuses to send anything. */
const NEVER_SENT = /^(Client has encountered a connection error|Client was closed)/;

const TEXT_BY_CODE: Readonly<Partial<Record<TaskStorageErrorCode, string>>> = {
  UNAVAILABLE: 'Postgres did not answer',
  MISCONFIGURED: 'Postgres refused: check the credentials, the rights and the schema',
};

function readCode(error: unknown): string {
  return types.isNativeError(error) && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

function readMessage(error: unknown): string {
  return types.isNativeError(error) ? error.message : '';
}

/** TypeORM wraps what the driver says, together with the parameters, which may be confidential. */
function driverErrorOf(error: unknown): unknown {
  return types.isNativeError(error) && 'driverError' in error ? error.driverError : error;
}

function classify(driverError: unknown): TaskStorageErrorCode {
  const code = readCode(driverError);
  const known = CODE_BY_SQLSTATE.get(code) ?? CODE_BY_SQLSTATE_CLASS.get(code.slice(0, 2));
  if (known !== undefined && code.length === 5) {
    return known;
  }
  if (NETWORK_ERRORS.has(code)) {
    return 'UNAVAILABLE';
  }
  return CONNECTION_MESSAGES.test(readMessage(driverError)) ? 'UNAVAILABLE' : 'INTERNAL';
}

/** Turns whatever TypeORM or node-postgres threw into the storage's own error. */
export function toTaskStorageError(error: unknown): TaskStorageError {
  if (error instanceof TaskStorageError) {
    return error;
  }
  const cause = driverErrorOf(error);
  const code = classify(cause);
  // A host with several addresses fails with an AggregateError, which has a code and no message.
  const detail = readMessage(cause) || readCode(cause);
  const message = TEXT_BY_CODE[code] ?? 'Postgres failed';
  return new TaskStorageError(code, detail === '' ? message : `${message}: ${detail}`, { cause });
}

/**
 * The same for a write that commits by itself, or for a COMMIT. Only when the server itself says that it
 * failed, or when it was never sent, it was certainly not made: whatever else goes wrong, with the network,
 * with TLS or in the driver, leaves open what the server did.
 */
export function toWriteError(error: unknown): TaskStorageError {
  const failure = toTaskStorageError(error);
  const { cause } = failure;
  return failure === error || isRefusal(cause) || NEVER_SENT.test(readMessage(cause))
    ? failure
    : new OutcomeUnknownError(`${failure.message}; the change may have been made`, { cause });
}

/**
 * Whether the server says that a statement failed, after which it has undone it. An error of the server has
 * a severity and a SQLSTATE; the severity says more only where it is not translated (`lc_messages`).
 */
function isRefusal(cause: unknown): boolean {
  const state = readCode(cause);
  return (
    types.isNativeError(cause) &&
    'severity' in cause &&
    cause.severity !== 'FATAL' &&
    cause.severity !== 'PANIC' &&
    state.length === 5 &&
    !SESSION_ENDED.test(state)
  );
}

/** Whether a statement gave up waiting for a lock. */
export function isLockTimeout(driverError: unknown): boolean {
  return readCode(driverError) === LOCK_NOT_AVAILABLE;
}

/**
 * Whether a statement of several calls failed, and was undone for certain, for what may be the fault of
 * one of them: its values, or a row that somebody else keeps locked. Only what the server itself said
 * counts: after a broken connection, what was sent may have been committed.
 */
export function harmsOthers(error: unknown): boolean {
  const { code, cause } = toTaskStorageError(error);
  return isRefusal(cause) && (code === 'INTERNAL' || FAULTS_OF_ONE.has(readCode(cause)));
}

/**
 * Whether the connection must not be used again. After a failover the sockets to the old primary
 * stay open and answer 25006 for ever; after a client-side time-out the answer is still to come.
 */
export function isConnectionGone(error: unknown): boolean {
  const cause = driverErrorOf(error);
  const code = readCode(cause);
  return (
    SESSION_ENDED.test(code) ||
    SESSION_USELESS.has(code) ||
    NETWORK_ERRORS.has(code) ||
    ((code === '' || code === '0A000') && classify(cause) === 'UNAVAILABLE')
  );
}
