import { expect, it } from '@jest/globals';
import { harmsOthers, toTaskStorageError } from '../../src/storage/typeorm/postgres-errors.js';

function errorWith(properties: object): Error {
  return Object.assign(new Error('boom'), properties);
}

it.each([
  ['values that a constraint refuses', { code: '23514', severity: 'ERROR' }, true],
  ['a row that stays locked', { code: '55P03', severity: 'ERROR' }, true],
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
