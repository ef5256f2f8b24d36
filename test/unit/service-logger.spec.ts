import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ServiceLogger } from '../../src/service-logger.js';

const FORGED = '[Nest] 1  - 01/01/2026, 1:00:00 AM   ERROR [Storage] All tasks are lost';
/** What ends a line, moves the cursor, changes colours or turns text around. */
const HOSTILE = [
  '\n',
  '\r',
  '\r\n',
  '\u2028',
  '\u0085',
  '\u001b[2K\u001b[1A',
  '\b',
  '\0',
  '\u202e',
];

describe('ServiceLogger', () => {
  const written: string[] = [];
  const logger = new ServiceLogger();
  logger.logFrom('verbose');

  beforeEach(() => {
    written.length = 0;
    for (const stream of [process.stdout, process.stderr]) {
      jest.spyOn(stream, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    }
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it.each(HOSTILE)('writes one line for a message with %j', (hostile) => {
    for (const level of ['log', 'warn', 'debug', 'verbose', 'error', 'fatal'] as const) {
      logger[level](`Task a${hostile}${FORGED} ended`, 'Context');
    }
    expect(written).toHaveLength(6);
    for (const text of written) {
      expect(text.split(/[\n\r\u2028\u0085]/)).toHaveLength(2);
      expect(text).toContain('Task a\\');
      expect(text.includes('\b') || text.includes('\0') || text.includes('\u202e')).toBe(false);
      expect(text).not.toContain('\u001b[2K');
    }
  });

  it('indents a stack, so that no line of it is taken for a line of the log', () => {
    logger.error('A call failed', new Error(`for task\n${FORGED}\u001b[2K`).stack, 'Context');
    const lines = written.join('').trimEnd().split('\n').slice(1);
    expect(lines.some((line) => line.includes(FORGED))).toBe(true);
    expect(lines.every((line) => line.startsWith('    '))).toBe(true);
    expect(written.join('')).not.toContain('\u001b[2K');
  });

  it.each([
    ['an error', new Error(`for task\n${FORGED}\u001b[2K`)],
    ['an error within an object', { error: new Error(`for task\n${FORGED}\u001b[2K`) }],
  ])('indents %s', (_what, message) => {
    logger.error(message);
    const [first, ...lines] = written.join('').trimEnd().split('\n');
    expect(first).not.toContain(FORGED);
    expect(lines.some((line) => line.includes(FORGED))).toBe(true);
    expect(lines.every((line) => line.startsWith('    '))).toBe(true);
    expect(written.join('')).not.toContain('\u001b[2K');
  });

  it('writes one line for a context with a line break', () => {
    logger.log('message', `Context\n${FORGED}`);
    expect(written.join('').trimEnd().split('\n')).toHaveLength(1);
  });

  it('leaves other characters as they are', () => {
    logger.log('Grüße, 任务 🦊 "a" \\n', 'Context');
    expect(written.join('')).toContain('Grüße, 任务 🦊 "a" \\n');
  });
});
