import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ChildOutput } from '../../src/agent/command-runner/child-output.js';
import { LineSplitter } from '../../src/agent/command-runner/line-splitter.js';
import { OutputTail } from '../../src/agent/command-runner/output-tail.js';

function split(chunks: readonly Buffer[], maximumLineBytes = 1024): string[] {
  const splitter = new LineSplitter(maximumLineBytes);
  return [...chunks.flatMap((chunk) => [...splitter.push(chunk)]), ...splitter.end()];
}

/** Cuts bytes at the given places. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const borders = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length];
  const sorted = borders.toSorted((a, b) => a - b);
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

describe('LineSplitter', () => {
  it('answers the same lines wherever the chunks are cut, within characters too', () => {
    const line = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n\uFEFF]/.test(text));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat()), (lines, places) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        expect(split(cutAt(bytes, places))).toEqual(lines);
      }),
    );
  });

  it('answers a last line that nothing ends, and takes CR LF for a line end', () => {
    expect(split([Buffer.from('one\r\ntwo')])).toEqual(['one', 'two']);
  });

  it('replaces bytes that are not UTF-8, and drops a byte order mark', () => {
    expect(split([Buffer.from([0xef, 0xbb, 0xbf, 0x61, 0xff, 0x62, 0x0a])])).toEqual(['a\uFFFDb']);
  });

  it('cuts a line that is too long and goes on with the next', () => {
    const bytes = Buffer.from(`12345678\n123456789abc\nok\n`);
    for (const chunks of [[bytes], cutAt(bytes, [...bytes.keys()])]) {
      expect(split(chunks, 8)).toEqual([
        '12345678',
        '12345678 … (cut: the line is longer than 8 bytes)',
        'ok',
      ]);
    }
  });
});

describe('OutputTail', () => {
  const tailOf = (...chunks: (string | Buffer)[]) => {
    const tail = new OutputTail();
    for (const chunk of chunks) {
      tail.push(Buffer.from(chunk));
    }
    return tail.text();
  };

  it('keeps the last 20 lines', () => {
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`);
    expect(tailOf(...lines.map((line) => `${line}\n`))).toBe(lines.slice(-20).join('\n'));
  });

  it('keeps the last 4 KiB, without the half of a character that was cut', () => {
    const text = tailOf(`${'x'.repeat(5000)}${'€'.repeat(2000)}`, 'y');
    expect(text).toBe(`${'€'.repeat(1365)}y`);
  });

  it('is empty when there is nothing to read', () => {
    expect(tailOf()).toBe('');
    expect(tailOf('\n', '  \r\n')).toBe('');
  });
});

describe('ChildOutput', () => {
  const CHUNK = Buffer.alloc(64 * 1024);

  /** A program that would write 1000 chunks as fast as it may. */
  function writer() {
    let written = 0;
    const stream = new Readable({
      read() {
        setImmediate(() => {
          written += 1;
          this.push(written > 1000 ? null : CHUNK);
        });
      },
    });
    return { stream, written: () => written };
  }

  const manyTurns = async () => {
    for (let turn = 0; turn < 200; turn += 1) {
      await nextTurn();
    }
  };

  it('lets the program wait while nobody consumes its output', async () => {
    const { stream, written } = writer();
    const output = new ChildOutput(stream);
    await manyTurns();
    expect(written()).toBeLessThan(5);
    let bytes = 0;
    for await (const chunk of output) {
      bytes += chunk.length;
    }
    expect(bytes).toBe(1000 * CHUNK.length);
  });

  it('drops what a program goes on to write once it is discarded', async () => {
    const { stream, written } = writer();
    const output = new ChildOutput(stream);
    await manyTurns();
    output.discard();
    for await (const chunk of output) {
      expect(chunk).toBe('nothing');
    }
    while (written() <= 1000) {
      await nextTurn();
    }
  });

  it('ends for a consumer who waits when the pipe breaks', async () => {
    const stream = new Readable({ read: () => undefined });
    const output = new ChildOutput(stream);
    const next = output[Symbol.asyncIterator]().next();
    stream.destroy(new Error('read ECONNRESET'));
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
