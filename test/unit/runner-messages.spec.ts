import { describe, expect, it } from '@jest/globals';
import { parseRunnerLine } from '../../src/agent/command-runner/runner-messages.js';

const message = (fields: object) => ({ kind: 'message', message: fields });

describe('parseRunnerLine', () => {
  it.each([
    { type: 'stage', stage: 'planning', message: 'three steps' },
    {
      type: 'conversation',
      tool: 'planner',
      messages: [{ role: 'user', content: [1, null] }, 'x'],
    },
    { type: 'sandbox', id: 'box', os: 2, shape_name: 'small' },
    { type: 'sandbox', id: 'box' },
    { type: 'result', result: '4', finalState: 'solved' },
    { type: 'result', result: '' },
    {
      type: 'statistics',
      steps: 3,
      duration_seconds: 2,
      input_tokens: 2 ** 40,
      output_tokens: 0,
      total_tokens: 5,
      cost: 0.25,
      currency_symbol: '€',
    },
    { type: 'statistics' },
  ])('reads %j', (fields) => {
    expect(parseRunnerLine(JSON.stringify(fields))).toEqual(message(fields));
  });

  it('gives a stage without a message an empty one, and rounds a duration', () => {
    expect(parseRunnerLine('{"type":"stage","stage":" waiting "}')).toEqual(
      message({ type: 'stage', stage: 'waiting', message: '' }),
    );
    expect(parseRunnerLine('{"type":"statistics","duration_seconds":12.7}')).toEqual(
      message({ type: 'statistics', duration_seconds: 13 }),
    );
  });

  it('passes over fields that it does not know', () => {
    expect(parseRunnerLine('{"type":"result","result":"4","confidence":1}')).toEqual(
      message({ type: 'result', result: '4' }),
    );
  });

  it.each([
    'loading the model',
    '',
    '{"type":"stage"',
    '{"type":"progress","percent":4}',
    '{"type":"constructor"}',
    '{"level":"info","msg":"ready"}',
    '[{"type":"stage","stage":"a"}]',
    '"stage"',
    'null',
  ])('takes %j for text', (line) => {
    expect(parseRunnerLine(line)).toEqual({ kind: 'text', text: line });
  });

  it.each([
    ['stage: Invalid input: expected string, received undefined', '{"type":"stage"}'],
    [
      'result: Invalid input: expected string, received object',
      '{"type":"result","result":{"sum":4}}',
    ],
    ['steps: Too small: expected number to be >=0', '{"type":"statistics","steps":-1}'],
    ['line.cost is Infinity', '{"type":"statistics","cost":1e999}'],
    [
      'messages: Invalid input: expected array, received string',
      '{"type":"conversation","tool":"t","messages":"hi"}',
    ],
    [
      'is nested deeper than 256 levels',
      `{"type":"conversation","tool":"t","messages":${'['.repeat(300)}${']'.repeat(300)}}`,
    ],
  ])('says that %s', (problem, line) => {
    const { type } = JSON.parse(line) as { type: string };
    expect(parseRunnerLine(line)).toEqual({
      kind: 'misfit',
      type,
      problem: expect.stringContaining(problem),
    });
  });

  it('is not overwhelmed by a megabyte of brackets', () => {
    const line = `{"type":"stage","stage":"a","x":${'['.repeat(500_000)}${']'.repeat(500_000)}}`;
    expect(parseRunnerLine(line).kind).toBe('misfit');
    expect(parseRunnerLine(line.slice(0, 500_000)).kind).toBe('text');
  });

  it('replaces NUL and lone surrogates, which no storage holds', () => {
    expect(parseRunnerLine('{"type":"result","result":"a\\u0000b\\ud800c"}')).toEqual(
      message({ type: 'result', result: 'a\uFFFDb\uFFFDc' }),
    );
  });

  it('keeps a message that is called __proto__ as data', () => {
    const line = '{"type":"conversation","tool":"__proto__","messages":[{"__proto__":{"a":1}}]}';
    expect(JSON.stringify(parseRunnerLine(line))).toBe(`{"kind":"message","message":${line}}`);
  });
});
