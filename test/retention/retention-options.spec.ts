import { describe, expect, it } from '@jest/globals';
import { ConfigurationError } from '../../src/config/configuration-error.js';
import { readRetentionOptions } from '../../src/retention/retention-environment.js';
import { toRetentionPlan, type RetentionOptions } from '../../src/retention/retention-options.js';

function read(variables: Record<string, string>): RetentionOptions {
  return readRetentionOptions(new Map(Object.entries(variables)));
}

describe('the TASK_RETENTION_ variables', () => {
  it('have defaults: hourly, 30 days for every status, batches of 1000', () => {
    expect(toRetentionPlan(read({}))).toEqual({
      cron: '0 * * * *',
      rules: [
        { status: 'finished', days: 30 },
        { status: 'error', days: 30 },
        { status: 'cancelled', days: 30 },
      ],
      batchSize: 1000,
      pauseMs: 100,
      maxPerRun: 100_000,
      dryRun: false,
    });
  });

  it('are all read', () => {
    const options = read({
      TASK_RETENTION_CRON: '*/5 * * * *',
      TASK_RETENTION_DAYS: '7',
      TASK_RETENTION_DAYS_FINISHED: '1',
      TASK_RETENTION_DAYS_ERROR: '-1',
      TASK_RETENTION_BATCH_SIZE: '50',
      TASK_RETENTION_PAUSE_MS: '0',
      TASK_RETENTION_MAX_PER_RUN: '99',
      TASK_RETENTION_DRY_RUN: 'true',
    });
    expect(toRetentionPlan(options)).toEqual({
      cron: '*/5 * * * *',
      rules: [
        { status: 'finished', days: 1 },
        { status: 'cancelled', days: 7 },
      ],
      batchSize: 50,
      pauseMs: 0,
      maxPerRun: 99,
      dryRun: true,
    });
  });

  it('delete nothing with -1 days', () => {
    expect(toRetentionPlan(read({ TASK_RETENTION_DAYS: '-1' })).rules).toEqual([]);
  });

  it('delete at once with 0 days for one status', () => {
    const { rules } = toRetentionPlan(
      read({ TASK_RETENTION_DAYS: '-1', TASK_RETENTION_DAYS_CANCELLED: '0' }),
    );
    expect(rules).toEqual([{ status: 'cancelled', days: 0 }]);
  });

  it('refuse a wrong cron expression with the name, the value and an example', () => {
    expect(() => read({ TASK_RETENTION_CRON: 'hourly' })).toThrow(
      new ConfigurationError(
        'TASK_RETENTION_CRON is "hourly"; write a cron expression such as "0 * * * *", which is the start of every hour',
      ),
    );
  });

  it.each([
    ['TASK_RETENTION_CRON', '61 * * * *'],
    ['TASK_RETENTION_CRON', '* *'],
    ['TASK_RETENTION_CRON', '0 0 30 2 *'],
    ['TASK_RETENTION_DAYS', '-2'],
    ['TASK_RETENTION_DAYS', '1.5'],
    ['TASK_RETENTION_DAYS_ERROR', '36501'],
    ['TASK_RETENTION_DAYS_FINISHED', 'never'],
    ['TASK_RETENTION_BATCH_SIZE', '0'],
    ['TASK_RETENTION_PAUSE_MS', '-1'],
    ['TASK_RETENTION_MAX_PER_RUN', '0'],
    ['TASK_RETENTION_DRY_RUN', 'maybe'],
  ])('refuse %s=%s, naming it', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(`${name} is ${JSON.stringify(value)}; write `);
  });
});

describe('the options of RetentionModule', () => {
  it('have the same defaults as the variables', () => {
    expect(toRetentionPlan({})).toEqual(toRetentionPlan(read({})));
  });

  it.each<[string, RetentionOptions]>([
    ['cron', { cron: 'x' }],
    ['days', { days: Number.NaN }],
    ['daysByStatus.error', { daysByStatus: { error: -2 } }],
    ['batchSize', { batchSize: 1.5 }],
    ['pauseMs', { pauseMs: Infinity }],
    ['maxPerRun', { maxPerRun: 0 }],
  ])('refuse a wrong %s, naming it', (name, options) => {
    expect(() => toRetentionPlan(options)).toThrow(ConfigurationError);
    expect(() => toRetentionPlan(options)).toThrow(`${name} is `);
  });
});
