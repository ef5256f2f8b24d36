import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { StageWriter, type StageLog } from '../../src/agent/supervisor/stage-writer.js';
import { cancelled, type TaskEnding } from '../../src/agent/supervisor/task-ending.js';
import type { TaskProgress } from '../../src/agent/supervisor/task-progress.js';
import type { NewTaskEvent } from '../../src/task/task-event.js';
import { createGate, type Gate } from '../support/gate.js';

interface Write {
  readonly kind: 'append' | 'end';
  readonly stages: readonly string[];
  readonly progress: TaskProgress | null;
}

/** A log whose writes a test lets through one by one. */
class GatedLog implements StageLog {
  readonly writes: Write[] = [];
  #gates: Gate[] = [];
  answer: () => boolean = () => true;

  async append(events: readonly NewTaskEvent[], progress: TaskProgress | null): Promise<boolean> {
    return this.#write({ kind: 'append', stages: stagesOf(events), progress });
  }

  async end(ending: TaskEnding, events: readonly NewTaskEvent[]): Promise<boolean> {
    return this.#write({ kind: 'end', stages: stagesOf(events), progress: ending.progress });
  }

  /** Answers the writes that wait, and lets those that follow in the same turn wait again. */
  async answerWrites(): Promise<void> {
    this.#gates.splice(0).forEach((gate) => gate.open());
    await nextTurn();
  }

  async answerAll(): Promise<void> {
    await this.answerWrites();
    while (this.#gates.length > 0) {
      await this.answerWrites();
    }
  }

  async #write(write: Write): Promise<boolean> {
    this.writes.push(write);
    const gate = createGate();
    this.#gates.push(gate);
    await gate.opened;
    return this.answer();
  }
}

async function isSettled(promise: Promise<void> | undefined): Promise<boolean> {
  return Promise.race([promise?.then(() => true), nextTurn(false)]).then(Boolean);
}

function stagesOf(events: readonly NewTaskEvent[]): string[] {
  return events.map(({ stage }) => stage);
}

function event(stage: number | string, message = ''): NewTaskEvent {
  return { stage: String(stage), message };
}

function numbers(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(from + index));
}

describe('StageWriter', () => {
  let log: GatedLog;
  let writer: StageWriter;
  let lost: number;
  let failures: unknown[];

  beforeEach(() => {
    log = new GatedLog();
    lost = 0;
    failures = [];
    writer = new StageWriter(
      log,
      { used: 0, most: 10_000 },
      () => {
        lost += 1;
      },
      (error) => failures.push(error),
    );
  });

  function add(...stages: (number | string)[]): Promise<void>[] {
    return stages.map(async (stage) => writer.add(event(stage)));
  }

  async function addAfter(ticks: number): Promise<void> {
    for (let count = 0; count < ticks; count += 1) {
      await Promise.resolve();
    }
    await writer.add(event('two'));
  }

  it('writes the first stage at once and gathers the others until it is written', async () => {
    void add('one', 'two', 'three');
    expect(log.writes.map(({ stages }) => stages)).toEqual([['one']]);
    await log.answerWrites();
    expect(log.writes.map(({ stages }) => stages)).toEqual([['one'], ['two', 'three']]);
    await log.answerAll();
    void add('four');
    expect(log.writes.at(-1)?.stages).toEqual(['four']);
  });

  it('starts again after a pause of any length', async () => {
    for (const stage of ['one', 'two', 'three']) {
      void add(stage);
      await log.answerAll();
    }
    expect(log.writes.map(({ stages }) => stages)).toEqual([['one'], ['two'], ['three']]);
  });

  it('loses no stage that is added in the very moment in which a write ends', async () => {
    for (let ticks = 0; ticks < 20; ticks += 1) {
      log.writes.length = 0;
      void add('one');
      log.answer = () => {
        log.answer = () => true;
        void addAfter(ticks);
        return true;
      };
      await log.answerAll();
      await log.answerAll();
      expect(log.writes.map(({ stages }) => stages)).toEqual([['one'], ['two']]);
    }
  });

  it('writes no more than 1000 stages at once, in order', async () => {
    void add(...numbers(0, 2_501));
    await log.answerAll();
    expect(log.writes.map(({ stages }) => stages.length)).toEqual([1, 1_000, 1_000, 500]);
    expect(log.writes.flatMap(({ stages }) => stages)).toEqual(numbers(0, 2_501));
  });

  it('writes no more than about a million characters at once, but any single stage', async () => {
    for (const [stage, length] of [400_000, 400_000, 400_000, 3_000_000, 1].entries()) {
      void writer.add(event(stage, 'x'.repeat(length)));
    }
    await log.answerAll();
    expect(log.writes.map(({ stages }) => stages)).toEqual([['0'], ['1', '2'], ['3'], ['4']]);
  });

  it('asks to wait when 1000 stages wait, until there is room', async () => {
    const [first, ...others] = add(...numbers(0, 1_000));
    await Promise.all([first, ...others]);
    const [last] = add('one more');
    expect(await isSettled(last)).toBe(false);
    await log.answerWrites();
    await log.answerWrites();
    expect(await isSettled(last)).toBe(true);
  });

  it('asks to wait when much text waits', async () => {
    void writer.add(event(0));
    const large = writer.add(event(1, 'x'.repeat(5_000_000)));
    expect(await isSettled(large)).toBe(false);
    await log.answerAll();
    expect(await isSettled(large)).toBe(true);
  });

  it('writes only the latest progress, together with the stages', async () => {
    void add('one');
    void writer.saveProgress({ executionStatistics: { steps: 1 }, sandboxInfo: { id: 'box' } });
    void writer.saveProgress({ executionStatistics: { steps: 2 } });
    void add('two');
    await log.answerAll();
    expect(log.writes).toEqual([
      { kind: 'append', stages: ['one'], progress: null },
      {
        kind: 'append',
        stages: ['two'],
        progress: { executionStatistics: { steps: 2 }, sandboxInfo: { id: 'box' } },
      },
    ]);
  });

  it('ends with what still waits, in one call', async () => {
    void add('one', 'two', 'three');
    void writer.saveProgress({ executionStatistics: { steps: 1 }, sandboxInfo: { id: 'box' } });
    const ended = writer.end({ ...cancelled(), progress: { executionStatistics: { steps: 9 } } });
    await log.answerAll();
    expect(await ended).toBe(true);
    expect(log.writes).toEqual([
      { kind: 'append', stages: ['one'], progress: null },
      {
        kind: 'end',
        stages: ['two', 'three'],
        progress: { executionStatistics: { steps: 9 }, sandboxInfo: { id: 'box' } },
      },
    ]);
  });

  it('leaves room for the last stage in the call that ends the task', async () => {
    void add(...numbers(0, 1_501));
    const ended = writer.end(cancelled());
    await log.answerAll();
    await ended;
    expect(log.writes.map(({ kind, stages }) => [kind, stages.length])).toEqual([
      ['append', 1],
      ['append', 999],
      ['end', 501],
    ]);
  });

  it('ignores what is added after the end and lets nobody wait', async () => {
    const waiting = add(...numbers(0, 2_000));
    const ended = writer.end(cancelled());
    await Promise.all(waiting);
    await Promise.all(add('late'));
    await writer.saveProgress({ executionStatistics: {} });
    await log.answerAll();
    await ended;
    expect(log.writes.flatMap(({ stages }) => stages)).not.toContain('late');
  });

  it('says once that the task is lost, and writes no more', async () => {
    log.answer = () => false;
    const waiting = add(...numbers(0, 2_000));
    await log.answerAll();
    await Promise.all(waiting);
    await Promise.all(add('late'));
    expect(lost).toBe(1);
    expect(await writer.end(cancelled())).toBe(false);
    expect(log.writes).toHaveLength(1);
  });

  it('says what failed, and still writes the end', async () => {
    const failure = new Error('refused');
    log.answer = () => {
      log.answer = () => true;
      throw failure;
    };
    void add('one', 'two');
    await log.answerAll();
    expect(failures).toEqual([failure]);
    const ended = writer.end(cancelled());
    await log.answerAll();
    expect(await ended).toBe(true);
    expect(log.writes.at(-1)).toMatchObject({ kind: 'end', stages: ['two'] });
  });
});
