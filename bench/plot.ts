/** A line of a plot: points (x, y), and how it is called. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface PlotOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** The y axis is logarithmic; values are above 0. */
  readonly logarithmic?: boolean;
  /** Drawn as a dashed line with its name. */
  readonly bars?: readonly { readonly name: string; readonly y: number }[];
}

const WIDTH = 720;
const HEIGHT = 380;
const MARGIN = { left: 64, right: 150, top: 40, bottom: 48 };
const COLOURS = ['#1f5fa8', '#c2571a', '#3b8a4a', '#7b4aa0', '#a01f3c'];

/** A plot as SVG; x is logarithmic to base 2, as numbers of callers are. */
export function linePlot(
  series: readonly Series[],
  { title, xLabel, yLabel, bars = [], logarithmic = false }: PlotOptions,
): string {
  const xs = series.flatMap(({ points }) => points.map(([x]) => x));
  const ys = [...series.flatMap(({ points }) => points.map(([, y]) => y)), ...bars.map(({ y }) => y)];
  const ticks = logarithmic ? decades(Math.min(...ys), Math.max(...ys)) : fifths(Math.max(...ys));
  const [bottom, top] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  const [low, high] = [Math.log2(Math.min(...xs)), Math.log2(Math.max(...xs))];
  const plotWidth = WIDTH - MARGIN.left - MARGIN.right;
  const plotHeight = HEIGHT - MARGIN.top - MARGIN.bottom;
  const x = (value: number): number =>
    MARGIN.left + (plotWidth * (Math.log2(value) - low)) / Math.max(1e-9, high - low);
  const height = (value: number): number =>
    logarithmic ? Math.log(value / bottom) / Math.log(top / bottom) : (value - bottom) / (top - bottom);
  const y = (value: number): number => MARGIN.top + plotHeight * (1 - height(value));
  const text = (at: [number, number], content: string, extra = ''): string =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${extra}>${escapeXml(content)}</text>`;

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text([MARGIN.left, 24], title, 'font-size="15" font-weight="bold"'),
    text([MARGIN.left + plotWidth / 2, HEIGHT - 10], xLabel, 'text-anchor="middle"'),
    `<text transform="translate(16 ${MARGIN.top + plotHeight / 2}) rotate(-90)" text-anchor="middle">${escapeXml(yLabel)}</text>`,
  ];
  for (const value of ticks) {
    parts.push(
      `<line x1="${MARGIN.left}" x2="${MARGIN.left + plotWidth}" y1="${y(value)}" y2="${y(value)}" stroke="#e2e2e2"/>`,
      text([MARGIN.left - 8, y(value) + 4], String(Number(value.toPrecision(3))), 'text-anchor="end"'),
    );
  }
  for (const value of [...new Set(xs)].sort((a, b) => a - b)) {
    parts.push(text([x(value), MARGIN.top + plotHeight + 18], String(value), 'text-anchor="middle"'));
  }
  for (const bar of bars) {
    parts.push(
      `<line x1="${MARGIN.left}" x2="${MARGIN.left + plotWidth}" y1="${y(bar.y)}" y2="${y(bar.y)}" stroke="#888" stroke-dasharray="5 4"/>`,
      text([MARGIN.left + plotWidth + 8, y(bar.y) + 4], bar.name, 'fill="#666"'),
    );
  }
  for (const [index, { name, points }] of series.entries()) {
    const colour = COLOURS[index % COLOURS.length];
    const path = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [px, py] of points)
      parts.push(`<circle cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3" fill="${colour}"/>`);
    parts.push(text([MARGIN.left + plotWidth + 8, MARGIN.top + 14 + 18 * index], name, `fill="${colour}"`));
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

function fifths(greatest: number): number[] {
  return [0, 1, 2, 3, 4, 5].map((tick) => (niceTop(greatest) * tick) / 5);
}

/** 1, 2 and 5 of each power of ten, from the last below the least value to the first above the greatest. */
function decades(least: number, greatest: number): number[] {
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(greatest)); power++) {
    all.push(...[1, 2, 5].map((step) => step * 10 ** power));
  }
  const from = all.findLastIndex((tick) => tick <= least);
  const to = all.findIndex((tick) => tick >= greatest);
  return all.slice(from, to + 1);
}

/** The next of 1, 2, 2.5, 5, 10 … above a value. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return power * ([1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
