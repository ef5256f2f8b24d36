import type { Spread } from '../measure/statistics.js';
import type { BenchRow } from '../rows/row.js';
import type { FloorResult } from './floors.js';

/** Text that is read as a Markdown table, and lined up for those who read it as it is. */
export function formatTable(
  header: readonly string[],
  lines: readonly (readonly string[])[],
): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => (line[column] ?? '').length)),
  );
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [format(header), rule, ...lines.map(format)].join('\n');
}

export function formatRows(rows: readonly BenchRow[]): string {
  const header = [
    'work',
    'backend',
    'callers',
    'product/s',
    'p50 ms',
    'p99 ms',
    'others/s',
    'ratios',
  ];
  return formatTable(
    header,
    rows.map(({ work, backend, callers, contenders, ratios }) => {
      const [first, ...others] = Object.entries(contenders);
      const product = first?.[1];
      return [
        work,
        backend,
        String(callers),
        product === undefined ? '' : formatSpeed(product.operationsPerSecond),
        formatMs(product?.p50Ms),
        formatMs(product?.p99Ms),
        others
          .map(([name, { operationsPerSecond }]) => `${name} ${formatSpeed(operationsPerSecond)}`)
          .join(', '),
        Object.values(ratios).map(formatRatio).join(', '),
      ];
    }),
  );
}

export function formatFloors(results: readonly FloorResult[]): string {
  return formatTable(
    ['floor', 'at least', 'measured', ''],
    results.map(({ name, atLeast, ratio, isReached }) => [
      name,
      atLeast.toFixed(2),
      formatRatio(ratio),
      isReached ? '' : 'MISSED',
    ]),
  );
}

function formatSpeed({ median, noise }: Spread): string {
  return `${Math.round(median).toLocaleString('en')} ±${Math.round((noise / median) * 100)}%`;
}

function formatRatio({ median, noise }: Spread): string {
  return `${median.toFixed(2)} ±${noise.toFixed(2)}`;
}

function formatMs(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(value < 10 ? 2 : 1);
}
