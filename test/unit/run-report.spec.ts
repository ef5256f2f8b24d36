import { describe, expect, it } from '@jest/globals';
import { RunReport } from '../../src/agent/command-runner/run-report.js';
import type { JsonValue } from '../../src/task/json.js';
import { RecordedRun } from '../support/recorded-run.js';

const line = (content: number) =>
  JSON.stringify({ type: 'conversation', tool: 'planner', messages: [content] });

describe('A conversation', () => {
  it('is copied once for all the lines that were written together', async () => {
    const run = new RecordedRun();
    const numbers = Array.from({ length: 10_000 }, (_, index) => index);
    await new RunReport(run).take(numbers.map(line));
    expect(run.progress).toEqual([{ conversationHistory: { planner: numbers } }]);
  });

  it('that is long is not copied for each line, and is saved whole in the end', async () => {
    const run = new RecordedRun();
    let saved: JsonValue | undefined;
    let copiedMessages = 0;
    run.saveProgress = async ({ conversationHistory }) => {
      saved = conversationHistory?.['planner'];
      copiedMessages += Array.isArray(saved) ? saved.length : 0;
    };
    const report = new RunReport(run);
    const messages = ['x'.repeat(1_000)];
    const long = JSON.stringify({ type: 'conversation', tool: 'planner', messages });
    for (let lines = 0; lines < 5_000; lines += 1) {
      await report.take([long]);
    }
    await report.end();
    expect(saved).toHaveLength(5_000);
    expect(copiedMessages).toBeLessThan(20 * 5_000);
  });

  it('that was saved does not change with the lines that follow', async () => {
    const run = new RecordedRun();
    const saved: unknown[] = [];
    run.saveProgress = async ({ conversationHistory }) => void saved.push(conversationHistory);
    const report = new RunReport(run);
    await report.take([line(1)]);
    await report.take([line(2)]);
    await report.take(['{"type":"stage","stage":"idle"}']);
    expect(saved).toEqual([{ planner: [1] }, { planner: [1, 2] }]);
  });
});
