import { describe, expect, it } from '@jest/globals';
import { alternate } from '../../bench/measure/alternation.js';
import { quantile, spreadOf } from '../../bench/measure/statistics.js';
import { parseOptions } from '../../bench/options.js';
import { judge, type Floor } from '../../bench/report/floors.js';
import { drawChart } from '../../bench/report/svg.js';
import { formatRows, formatTable } from '../../bench/report/table.js';
import type { BenchRow } from '../../bench/rows/row.js';

function turnsOf(speeds: readonly number[]) {
  const left = [...speeds];
  return async () => ({ operationsPerSecond: left.shift() ?? 0, latenciesMs: [1, 2, 3] });
}

async function rowOf(product: readonly number[], other: readonly number[]): Promise<BenchRow> {
  const turns = { product: turnsOf(product), 'node-postgres': turnsOf(other) };
  const measured = await alternate(turns, product.length);
  return { work: 'get', backend: 'Postgres', callers: 64, ...measured };
}

function floorAt(atLeast: number): Floor {
  return { name: 'get', find: ([row]) => row?.ratios['node-postgres'], atLeast };
}

describe('the statistics of the bench', () => {
  it('finds quantiles between values', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([1], 0.99)).toBe(1);
  });

  it('calls half the distance between the quartiles noise', () => {
    expect(spreadOf([1, 2, 3, 4, 5])).toEqual({ median: 3, noise: 1 });
  });

  it('makes ratios of turns that followed each other', async () => {
    const row = await rowOf([10, 40, 90], [10, 20, 30]);
    expect(row.ratios['node-postgres']).toEqual({ median: 2, noise: 0.5 });
  });
});

describe('a floor', () => {
  it('is reached by a ratio that misses it by no more than its noise', async () => {
    const row = await rowOf([10, 40, 90], [10, 20, 30]);
    expect(judge([floorAt(2.5)], [row])).toMatchObject([{ isReached: true }]);
    expect(judge([floorAt(2.51)], [row])).toMatchObject([{ isReached: false }]);
  });

  it('of which nothing was measured is an error', () => {
    expect(() => judge([floorAt(1)], [])).toThrow('Nothing was measured for "get"');
  });
});

it('lines a table up', () => {
  expect(formatTable(['a', 'long'], [['value', 'b']])).toBe(
    '| a     | long |\n| ----- | ---- |\n| value | b    |',
  );
});

it('shows each contender in the table and the chart', async () => {
  const rows = [await rowOf([2000, 2000], [1000, 1000])];
  expect(formatRows(rows)).toContain('node-postgres 1,000 ±0%');
  expect(drawChart(rows, 'a < b')).toMatch(/a &lt; b.*product 2,000.*node-postgres 1,000/s);
});

it('refuses an argument that it does not know', () => {
  expect(() => parseOptions(['--fast'])).toThrow('--fast');
  expect(parseOptions(['--quick', '--check'])).toMatchObject({ isQuick: true, checksFloors: true });
});
