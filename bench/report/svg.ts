import type { BenchRow } from '../rows/row.js';

const BAR_HEIGHT = 14;
const GROUP_GAP = 18;
const LABEL_WIDTH = 210;
const BAR_WIDTH = 460;
const VALUE_WIDTH = 110;
const TOP = 40;

/** Told apart on a light and on a dark page. */
const COLOURS = ['#2f81f7', '#8b949e', '#c69026'];

/** A chart of bars: for each row, how many calls a second each contender answered. */
export function drawChart(rows: readonly BenchRow[], title: string): string {
  const shapes: string[] = [text(0, 20, title, 'bold 15px sans-serif')];
  let y = TOP;
  for (const { work, backend, callers, contenders } of rows) {
    const bars = Object.entries(contenders);
    const fastest = Math.max(
      ...bars.map(([, { operationsPerSecond }]) => operationsPerSecond.median),
    );
    shapes.push(text(0, y + BAR_HEIGHT - 2, `${work}, ${backend}, ${callers}`, '12px sans-serif'));
    bars.forEach(([name, { operationsPerSecond }], index) => {
      const { median } = operationsPerSecond;
      const width = Math.max(1, (median / fastest) * BAR_WIDTH);
      shapes.push(
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" fill="${COLOURS[index] ?? '#8b949e'}"/>`,
        text(
          LABEL_WIDTH + width + 6,
          y + BAR_HEIGHT - 3,
          `${name} ${Math.round(median).toLocaleString('en')}`,
          '11px sans-serif',
        ),
      );
      y += BAR_HEIGHT;
    });
    y += GROUP_GAP;
  }
  const width = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH + 40;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img" aria-label="${escape(title)}">
<style>text { fill: #1f2328; } @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } }</style>
${shapes.join('\n')}
</svg>
`;
}

function text(x: number, y: number, content: string, font: string): string {
  return `<text x="${x.toFixed(1)}" y="${y}" style="font: ${font}">${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
