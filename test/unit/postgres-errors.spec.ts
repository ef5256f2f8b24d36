import { expect, it } from '@jest/globals';
import {
  harmsOthers,
  toTaskStorageError,
  toWriteError,
} from '../../src/storage/typeorm/postgres-errors.js';
import { OutcomeUnknownError, TaskStorageError } from '../../src/task/errors.js';

function errorWith(properties: object): Error {
  return Object.assign(new Error('boom'), properties);
}

it.each([
  ['values that a constraint refuses', { code: '23514', severity: 'ERROR' }, true],
  ['a row that stays locked', { code: '55P03', severity: 'ERROR' }, true],
  ['a row that stays locked, in French', { code: '55P03', severity: 'ERREUR' }, true],
  ['a deadlock', { code: '40P01', severity: 'ERROR' }, true],
  ['a statement that took too long', { code: '57014', severity: 'ERROR' }, false],
  ['a session that was ended', { code: '57P01', severity: 'FATAL' }, false],
  ['a reset connection', { code: 'ECONNRESET' }, false],
  ['a network that is down', { code: 'ENETDOWN' }, false],
  ['a broken TLS record', { code: 'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC' }, false],
  ['an error of no kind', {}, false],
])(
  '%s: its calls are sent again one by one only if it was undone for certain',
  (_what, properties, isUndone) => {
    expect(harmsOthers(toTaskStorageError(errorWith(properties)))).toBe(isUndone);
  },
);

it.each([
  ['a lock time-out', { code: '55P03', severity: 'ERROR' }, 'UNAVAILABLE'],
  ['a lock time-out in German', { code: '55P03', severity: 'FEHLER' }, 'UNAVAILABLE'],
  ['a full disk in French', { code: '53100', severity: 'ERREUR' }, 'UNAVAILABLE'],
  ['values that a constraint refuses', { code: '23514', severity: 'ERROR' }, 'INTERNAL'],
  ['a missing right', { code: '42501', severity: 'ERROR' }, 'MISCONFIGURED'],
  ['a standby', { code: '25006', severity: 'ERROR' }, 'UNAVAILABLE'],
  ['a client that sends nothing any more', { message: 'Client was closed' }, 'UNAVAILABLE'],
])('a write that ends with %s was not made', (_what, properties, code) => {
  const failure = toWriteError(errorWith(properties));
  expect(failure).not.toBeInstanceOf(OutcomeUnknownError);
  expect(failure).toMatchObject({ code });
});

it.each([
  ['a session that was ended', { code: '57P01', severity: 'FATAL' }],
  ['a session that was ended, in Russian', { code: '57P01', severity: 'ВАЖНО' }],
  ['a transaction that was ended', { code: '25P04', severity: 'FATAL' }],
  ['a broken connection, as the server calls it', { code: '08006', severity: 'FATAL' }],
  ['a server that gives up', { code: 'XX000', severity: 'PANIC' }],
  ['a reset connection', { code: 'ECONNRESET' }],
  ['an aborted connection', { code: 'ECONNABORTED' }],
  ['a network that is down', { code: 'ENETDOWN' }],
  ['a host that is down', { code: 'EHOSTDOWN' }],
  ['a broken pipe', { code: 'EPIPE' }],
  ['a protocol error', { code: 'EPROTO' }],
  ['a broken TLS record', { code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' }],
  ['an answer out of place', { message: 'Received unexpected dataRow message from backend.' }],
])('a write that ends with %s may have been made', (_what, properties) => {
  expect(toWriteError(errorWith(properties))).toBeInstanceOf(OutcomeUnknownError);
});

it('a write that ends with an error of our own stays as it is', () => {
  const failure = new TaskStorageError('UNAVAILABLE', 'The storage is closed');
  expect(toWriteError(failure)).toBe(failure);
});
