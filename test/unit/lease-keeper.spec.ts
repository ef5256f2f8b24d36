import { Logger } from '@nestjs/common';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { LeaseKeeper, type LeaseLoss } from '../../src/agent/supervisor/lease-keeper.js';
import { TaskStorageError } from '../../src/task/errors.js';
import type { RenewLeasesOptions } from '../../src/task/task-lease.js';
import type { TaskStorage } from '../../src/task/task-storage.js';
import { createGate } from '../support/gate.js';
import { ManualClock } from '../support/manual-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';

const LEASE_MS = 30_000;
const RENEWAL_MS = 5_000;
const SAFE_MS = 20_000;
/** What a storage answers that hangs. */
const NEVER = new Promise<void>(() => undefined);

describe('LeaseKeeper', () => {
  let clock: ManualClock;
  let keeper: LeaseKeeper;
  let logger: RecordingLogger;
  let renewals: RenewLeasesOptions[];
  /** What the storage knows of the leases of this process. */
  let held: Map<string, number>;
  let answer: () => Promise<void>;
  let losses: string[];

  beforeEach(() => {
    logger = new RecordingLogger();
    Logger.overrideLogger(logger);
    clock = new ManualClock();
    renewals = [];
    held = new Map();
    losses = [];
    answer = async () => undefined;
    const leases: Pick<TaskStorage['leases'], 'renew'> = {
      renew: async (term) => {
        renewals.push(term);
        const answered = new Map(held);
        await answer();
        return answered;
      },
    };
    keeper = new LeaseKeeper(
      { leases: leases as TaskStorage['leases'] },
      clock,
      'me#now',
      LEASE_MS,
    );
    keeper.start();
  });

  function hold(taskId: string, attempt = 1, span = keeper.beginSpan()) {
    held.set(taskId, attempt);
    return keeper.hold(taskId, attempt, span, (loss: LeaseLoss) =>
      losses.push(`${taskId} ${loss}`),
    );
  }

  function fail(): void {
    answer = async () => Promise.reject(new TaskStorageError('UNAVAILABLE', 'down'));
  }

  it('renews all leases in one call, six times within their time, as long as they are held', async () => {
    hold('one');
    const two = hold('two', 2);
    await clock.advance(RENEWAL_MS - 1);
    expect(renewals).toEqual([]);
    await clock.advance(1);
    expect(renewals).toEqual([{ owner: 'me#now', leaseMs: LEASE_MS, taskIds: ['one', 'two'] }]);
    two.release();
    await clock.advance(LEASE_MS);
    expect(renewals).toHaveLength(7);
    expect(renewals.at(-1)?.taskIds).toEqual(['one']);
    expect(losses).toEqual([]);
  });

  it('asks for nothing while it holds nothing', async () => {
    hold('one').release();
    await clock.advance(10 * LEASE_MS);
    expect(renewals).toEqual([]);
    expect(losses).toEqual([]);
  });

  it('keeps leases for as long as their renewals are answered', async () => {
    hold('one');
    await clock.advance(100 * LEASE_MS);
    expect(losses).toEqual([]);
  });

  it('says that a lease is unsafe after two thirds of its time without a renewal', async () => {
    hold('one');
    fail();
    await clock.advance(SAFE_MS - 1);
    expect(losses).toEqual([]);
    await clock.advance(1);
    expect(losses).toEqual(['one lease-unsafe']);
    expect(logger.messages('warn').join()).toContain('Leases were not renewed');
  });

  it('bears renewals that fail as long as one succeeds in time', async () => {
    hold('one');
    for (let round = 0; round < 5; round += 1) {
      fail();
      await clock.advance(SAFE_MS - 2 * RENEWAL_MS);
      answer = async () => undefined;
      await clock.advance(RENEWAL_MS);
    }
    expect(losses).toEqual([]);
  });

  it('counts the time of a renewal from before the storage was asked', async () => {
    hold('one');
    const gate = createGate();
    answer = async () => (renewals.length === 1 ? gate.opened : NEVER);
    await clock.advance(SAFE_MS - 1);
    gate.open();
    // The first renewal was asked for after 5 seconds, and is good for 20.
    await clock.advance(RENEWAL_MS);
    expect(losses).toEqual([]);
    await clock.advance(1);
    expect(losses).toEqual(['one lease-unsafe']);
  });

  it('asks again while an earlier renewal hangs', async () => {
    hold('one');
    answer = async () => (renewals.length === 1 ? NEVER : undefined);
    await clock.advance(10 * LEASE_MS);
    expect(losses).toEqual([]);
  });

  it('takes the later of two renewals, whichever is answered first', async () => {
    hold('one');
    const gate = createGate();
    answer = async () => (renewals.length === 1 ? gate.opened : undefined);
    await clock.advance(2 * RENEWAL_MS);
    gate.open();
    answer = async () => NEVER;
    await clock.advance(SAFE_MS - 1);
    expect(losses).toEqual([]);
    await clock.advance(1);
    expect(losses).toEqual(['one lease-unsafe']);
  });

  it('is not saved by an answer that comes too late', async () => {
    hold('one');
    const gate = createGate();
    answer = async () => gate.opened;
    await clock.advance(SAFE_MS);
    expect(losses).toEqual(['one lease-unsafe']);
    gate.open();
    await clock.advance(0);
    expect(losses).toEqual(['one lease-unsafe']);
  });

  it('counts the time of a new lease from before the storage was asked', async () => {
    const span = keeper.beginSpan();
    fail();
    await clock.advance(SAFE_MS - 1);
    hold('one', 1, span);
    expect(losses).toEqual([]);
    await clock.advance(1);
    expect(losses).toEqual(['one lease-unsafe']);
    hold('too-late', 1, span);
    expect(losses).toEqual(['one lease-unsafe', 'too-late lease-unsafe']);
  });

  it('knows from the clock too that a lease is unsafe, because timers may be late', async () => {
    const after = clock.after.bind(clock);
    clock.after = () => () => undefined;
    const span = keeper.beginSpan();
    const one = hold('one', 1, span);
    clock.after = after;
    await keeper.stop();
    await clock.advance(SAFE_MS - 1);
    expect(one.isSafe()).toBe(true);
    await clock.advance(1);
    expect(one.isSafe()).toBe(false);
    expect(losses).toEqual([]);
    hold('two', 1, span);
    expect(losses).toEqual(['two lease-unsafe']);
  });

  it('says that a lease is gone that the storage does not list, or lists in another attempt', async () => {
    hold('kept');
    hold('deleted');
    hold('taken');
    held.delete('deleted');
    held.set('taken', 2);
    await clock.advance(RENEWAL_MS);
    expect(losses).toEqual(['deleted gone', 'taken gone']);
  });

  it('says nothing of a lease that was released or taken anew while a renewal was under way', async () => {
    const older = [hold('released'), hold('anew')];
    const gate = createGate();
    answer = async () => gate.opened;
    held.clear();
    await clock.advance(RENEWAL_MS);
    older.forEach((one) => one.release());
    hold('anew', 2);
    gate.open();
    await clock.advance(0);
    expect(losses).toEqual([]);
  });

  it('keeps the newer lease of a task when the older one is released', async () => {
    const older = hold('one', 1);
    hold('one', 2);
    older.release();
    await clock.advance(RENEWAL_MS);
    expect(renewals.at(-1)?.taskIds).toEqual(['one']);
    expect(losses).toEqual([]);
  });

  it('gives every lease of its process up', async () => {
    hold('one');
    await keeper.stop();
    await keeper.giveUp();
    expect(renewals).toEqual([{ owner: 'me#now', leaseMs: 1 }]);
    await clock.advance(LEASE_MS);
    expect(renewals).toHaveLength(1);
  });

  it('stops only when no renewal is under way, which would prolong what is given up', async () => {
    hold('one');
    const gate = createGate();
    answer = async () => gate.opened;
    await clock.advance(RENEWAL_MS);
    const stopped = keeper.stop().then(() => true);
    expect(await Promise.race([stopped, clock.advance(0)])).toBeUndefined();
    gate.open();
    expect(await stopped).toBe(true);
  });
});
