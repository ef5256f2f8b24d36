import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { readPayload } from '../../src/storage/typeorm/change-payload.js';
import type { AskingTimes } from '../../src/storage/typeorm/other-listeners.js';
import { PostgresChanges } from '../../src/storage/typeorm/postgres-changes.js';
import { PostgresConnection } from '../../src/storage/typeorm/postgres-connection.js';
import type { TaskChange } from '../../src/task/task-change.js';
import { eventually } from '../support/eventually.js';
import { usePostgresStorages } from '../support/postgres-storages.js';

const CHANNEL = 'hints';
/** Whoever does not answer at once is not there. */
const AT_ONCE: AskingTimes = { askEveryMs: 3_600_000, answerWithinMs: 0 };
/** Asks each time that there is something to tell. */
const OFTEN: AskingTimes = { askEveryMs: 0, answerWithinMs: 0 };
const PATIENT: AskingTimes = { askEveryMs: 3_600_000, answerWithinMs: 3_600_000 };

const postgres = usePostgresStorages();

describe('a process that nobody else listens to', () => {
  let observer: pg.Client;
  let payloads: string[];
  let ends: (() => Promise<void>)[];

  beforeEach(async () => {
    ends = [];
    payloads = [];
    observer = new pg.Client({ connectionString: postgres.database.connectionString });
    observer.on('notification', ({ payload }) => payloads.push(payload ?? ''));
    await observer.connect();
    await observer.query(`LISTEN ${CHANNEL}`);
  });

  afterEach(async () => {
    await Promise.all(ends.map(async (end) => end()));
    await observer.end();
  });

  /** One that hears notifications, and what it was told of. */
  async function start(times: AskingTimes): Promise<PostgresChanges & { heard: TaskChange[] }> {
    const dataSource = await new DataSource({
      type: 'postgres',
      url: postgres.database.connectionString,
    }).initialize();
    const connection = new PostgresConnection(dataSource, true);
    const changes = new PostgresChanges(connection, CHANNEL, () => undefined, times);
    const heard: TaskChange[] = [];
    changes.listen((change) => heard.push(change));
    changes.start();
    ends.push(async () => {
      await changes.close();
      await connection.close();
    });
    await eventually(
      () => changes.isLive,
      (isLive) => isLive,
    );
    return Object.assign(changes, { heard });
  }

  function told(): TaskChange[] {
    return payloads.flatMap((payload) => readPayload(payload));
  }

  const written = (taskId: string): TaskChange => ({ kind: 'written', taskId });
  const MISSED = { kind: 'missed', taskId: '' };

  it('keeps its hints to itself, and tells one who comes to look at everything', async () => {
    const alone = await start(AT_ONCE);
    alone.announce(written('kept'));
    const newcomer = await start(PATIENT);
    await eventually(told, (changes) => changes.length > 0);
    alone.announce(written('told'));
    await eventually(
      () => newcomer.heard,
      (changes) => changes.some(({ taskId }) => taskId === 'told'),
    );
    expect(told()).toEqual([MISSED, written('told')]);
    expect(alone.heard).toContainEqual(written('kept'));
  });

  it('answers who asks; questions and answers are hints to nobody', async () => {
    const changes = await start(AT_ONCE);
    const before = [...changes.heard];
    await observer.query(`NOTIFY ${CHANNEL}, '["somebody"]'`);
    await eventually(
      () => payloads,
      (all) => all.some((payload) => payload.endsWith(',"h"]')),
    );
    await observer.query(`NOTIFY ${CHANNEL}, '["somebody","h"]'`);
    await observer.query(`NOTIFY ${CHANNEL}, '["somebody","wlast"]'`);
    await eventually(
      () => changes.heard,
      (heard) => heard.length > before.length,
    );
    expect(changes.heard).toEqual([...before, written('last')]);
  });

  it('hears of those who were there before it', async () => {
    await start(PATIENT);
    const second = await start(AT_ONCE);
    await eventually(
      () => payloads,
      (all) => all.some((payload) => payload.endsWith(',"h"]')),
    );
    // The answer has reached the observer, and what comes after it reaches everybody after it.
    await observer.query(`NOTIFY ${CHANNEL}, '["somebody","wlast"]'`);
    await eventually(
      () => second.heard,
      (changes) => changes.some(({ taskId }) => taskId === 'last'),
    );
    second.announce(written('told'));
    await eventually(told, (changes) => changes.some(({ taskId }) => taskId === 'told'));
  });

  it('asks again while it has something to tell', async () => {
    const changes = await start(OFTEN);
    const questions = (): string[] => payloads.filter((payload) => !payload.includes(','));
    expect(questions()).toHaveLength(1);
    changes.announce(written('a'));
    await eventually(questions, (all) => all.length === 2);
    expect(told()).toEqual([]);
  });

  it('tells everything while it does not hear notifications itself', async () => {
    const changes = await start(AT_ONCE);
    await postgres.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND query LIKE 'LISTEN "%'`,
    );
    await eventually(
      () => changes.isLive,
      (isLive) => !isLive,
    );
    changes.announce(written('told'));
    await eventually(told, (all) => all.length > 0);
    expect(told()).toEqual([written('told')]);
  });
});
