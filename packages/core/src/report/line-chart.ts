/** Line charts as SVG that stands alone: light or dark as the reader's system is, readable without colour or script. */
import { expect } from "../errors.js";
import { escapeText } from "./html.js";
import { formatNumber, linearScale, logScale, type Scale } from "./ticks.js";

export interface ChartSeries {
  readonly name: string;
  readonly x: ArrayLike<number>;
  /** As many as x. A value that is not finite, or not positive on a logarithmic axis, leaves a gap. */
  readonly y: ArrayLike<number>;
  /** "faint": a thin pale line, behind the others. A line when absent. */
  readonly style?: "line" | "faint" | "points";
  /** Place in the palette of six; the series' own index when absent. */
  readonly colour?: number;
}

export interface LineChartOptions {
  readonly series: readonly ChartSeries[];
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Pixels; 720 when absent. */
  readonly width?: number;
  /** Pixels; 300 when absent. */
  readonly height?: number;
  readonly logY?: boolean;
}

/** Told apart by readers with each kind of colour blindness, in this order. */
const LIGHT = ["#2a78d6", "#eb6834", "#1baf7a", "#4a3aa7", "#e87ba4", "#eda100"];
const DARK = ["#3987e5", "#d95926", "#199e70", "#9085e9", "#d55181", "#c98500"];
const INK = { light: "#0b0b0b", dark: "#ffffff" };
const MUTED = { light: "#52514e", dark: "#c3c2b7" };
const GRID = { light: "#e1e0d9", dark: "#353532" };
const FONT = 12;
const LEGEND_LINE = 18;

const DARK_STYLE = [
  `.ink{fill:${INK.dark}}.muted{fill:${MUTED.dark}}.grid{stroke:${GRID.dark}}`,
  ...DARK.map((colour, i) => `.s${i}{stroke:${colour}}.f${i}{fill:${colour}}`),
]
  .join("")
  .replace(/(^|})\./g, "$1.unmask-chart .");

/** @throws UnmaskError when there is nothing to draw: no series has a point with finite x and y */
export function lineChart(options: LineChartOptions): string {
  const { title, xLabel, yLabel, width = 720, height = 300, logY = false } = options;
  const all = options.series.map((series, i) => drawable(series, i, logY));
  const series = all.filter(({ points }) => points.length > 0);
  expect(
    series.length > 0,
    () =>
      `lineChart: "${title}": expected a finite point, found none in ${all.length} series; leave the chart out`,
  );
  expect(
    width >= 160 && height >= 120,
    `lineChart: a chart of ${width} x ${height} has no room for axes; give at least 160 x 120`,
  );
  const legend = series.length > 1 ? legendOf(series, width) : { svg: "", lines: 0 };
  const top = 30 + legend.lines * LEGEND_LINE + 8;
  const plotHeight = height - top - 40;
  const every = (axis: "x" | "y") => extent(series, axis);
  const yTicks = Math.max(2, Math.round(plotHeight / 45));
  const y = logY ? logScale(...every("y"), yTicks) : linearScale(...every("y"), yTicks);
  const left = 12 + 20 + Math.max(...y.ticks.map((tick) => textWidth(y.format(tick))));
  const right = 16;
  const plotWidth = width - left - right;
  const [xMin, xMax] = every("x");
  const fromZero = xMin > 0 && xMin < xMax / 10 ? 0 : xMin;
  const x = linearScale(fromZero, xMax, Math.max(2, Math.round(plotWidth / 80)), { tight: true });
  const frame: Frame = { left, top, width: plotWidth, height: plotHeight, x, y };

  const id = `chart-${slug(title)}-${width}x${height}`;
  const behindFirst = [...series].sort((a, b) => Number(b.style === "faint") - Number(a.style === "faint"));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="unmask-chart" role="img" aria-labelledby="${id}-title ${id}-desc"`,
    ` viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    ` font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="${FONT}">`,
    `<title id="${id}-title">${escapeText(title)}</title>`,
    `<desc id="${id}-desc">${escapeText(describe(options, series, frame))}</desc>`,
    `<style>@media (prefers-color-scheme:dark){${DARK_STYLE}}</style>`,
    text(12, 18, title, "ink", `font-size="14" font-weight="600"`),
    legend.svg,
    axes(frame, xLabel, yLabel, height, logY),
    ...behindFirst.map((one) => draw(one, frame)),
    "</svg>",
  ].join("");
}

interface Drawable {
  readonly name: string;
  readonly style: "line" | "faint" | "points";
  readonly colour: number;
  /** Unbroken stretches. */
  readonly runs: readonly (readonly Point[])[];
  readonly points: readonly Point[];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly x: Scale;
  readonly y: Scale;
}

function drawable(
  { name, x, y, style = "line", colour }: ChartSeries,
  index: number,
  logY: boolean,
): Drawable {
  expect(
    x.length === y.length,
    `lineChart: "${name}": x has ${x.length} values, y has ${y.length}; give as many of both`,
  );
  const runs: Point[][] = [];
  let run: Point[] = [];
  for (let i = 0; i < x.length; i++) {
    const point = { x: drawn(x[i]!), y: drawn(y[i]!) };
    const shown = Number.isFinite(point.x) && Number.isFinite(point.y) && (!logY || point.y > 0);
    if (!shown) run = [];
    else if (run.push(point) === 1) runs.push(run);
  }
  return { name, style, colour: (colour ?? index) % LIGHT.length, runs, points: runs.flat() };
}

/** Numbers at the ends of what a double can hold have no differences or quotients to draw. */
function drawn(value: number): number {
  const size = Math.abs(value);
  return size < 1e-150 ? 0 : size > 1e150 ? Number.NaN : value;
}

function extent(series: readonly Drawable[], axis: "x" | "y"): [number, number] {
  let [min, max] = [Infinity, -Infinity];
  for (const { points } of series)
    for (const point of points) {
      min = Math.min(min, point[axis]);
      max = Math.max(max, point[axis]);
    }
  return [min, max];
}

function axes(frame: Frame, xLabel: string, yLabel: string, height: number, logY: boolean): string {
  const { left, top, x, y } = frame;
  const bottom = top + frame.height;
  const right = left + frame.width;
  const rows = y.ticks.map((tick) => {
    const at = py(frame, tick);
    return (
      `<path class="grid" stroke="${GRID.light}" d="M${left} ${at}H${right}"/>` +
      text(left - 8, at + 4, y.format(tick), "muted", `text-anchor="end"`)
    );
  });
  const columns = x.ticks.map((tick) => {
    const at = px(frame, tick);
    return (
      `<path class="grid" stroke="${GRID.light}" d="M${at} ${bottom}v4"/>` +
      text(at, bottom + 18, x.format(tick), "muted", `text-anchor="middle"`)
    );
  });
  const named = logY ? `${yLabel} (log)` : yLabel;
  const middle = round(top + frame.height / 2);
  return [
    ...rows,
    ...columns,
    text(round(left + frame.width / 2), height - 6, xLabel, "muted", `text-anchor="middle"`),
    text(12, middle, named, "muted", `text-anchor="middle" transform="rotate(-90 12 ${middle})"`),
  ].join("");
}

function draw({ runs, points, style, colour, name }: Drawable, frame: Frame): string {
  const dot = (point: Point, radius: number) =>
    `<circle class="f${colour}" fill="${LIGHT[colour]}" cx="${px(frame, point.x)}" cy="${py(frame, point.y)}" r="${radius}">` +
    `<title>${escapeText(name)} at ${formatNumber(point.x)}: ${formatNumber(point.y)}</title></circle>`;
  if (style === "points") return points.map((point) => dot(point, points.length > 60 ? 2 : 3)).join("");
  const d = runs
    .filter((run) => run.length > 1)
    .map((run) => "M" + run.map((point) => `${px(frame, point.x)} ${py(frame, point.y)}`).join("L"))
    .join("");
  const look = style === "faint" ? `stroke-width="1" opacity="0.35"` : `stroke-width="2"`;
  const line = `<path class="s${colour}" fill="none" stroke="${LIGHT[colour]}" ${look} stroke-linejoin="round" d="${d}"/>`;
  const alone = runs.filter((run) => run.length === 1).map(([point]) => dot(point!, 2));
  return (d === "" ? "" : line) + alone.join("");
}

/** Names beside their marks, in as many lines as the width asks for. */
function legendOf(series: readonly Drawable[], width: number): { svg: string; lines: number } {
  let [x, line] = [12, 0];
  const entries = series.map(({ name, style, colour }) => {
    const needed = 22 + textWidth(name) + 18;
    if (x > 12 && x + needed > width) [x, line] = [12, line + 1];
    const y = 38 + line * LEGEND_LINE;
    const fill = `class="f${colour}" fill="${LIGHT[colour]}"`;
    const mark =
      style === "points"
        ? `<circle ${fill} cx="${x + 8}" cy="${y}" r="3"/>`
        : `<rect ${fill} x="${x}" y="${y - 1}" width="16" height="${style === "faint" ? 1 : 2}"${style === "faint" ? ` opacity="0.6"` : ""}/>`;
    const entry = mark + text(x + 22, y + 4, name, "muted");
    x += needed;
    return entry;
  });
  return { svg: entries.join(""), lines: line + 1 };
}

function describe({ xLabel, yLabel }: LineChartOptions, series: readonly Drawable[], { x }: Frame): string {
  const courses = series.map(({ name, points }) => {
    const lowest = points.reduce((low, point) => (point.y < low.y ? point : low));
    const [first, last] = [points[0]!, points.at(-1)!].map(({ y }) => formatNumber(y));
    return `${name}: from ${first} to ${last}, lowest ${formatNumber(lowest.y)} at ${formatNumber(lowest.x)}.`;
  });
  return `${yLabel} over ${xLabel}, ${formatNumber(x.low)} to ${formatNumber(x.high)}. ${courses.join(" ")}`;
}

const px = ({ left, width, x }: Frame, value: number) => round(left + width * x.place(value));
const py = ({ top, height, y }: Frame, value: number) => round(top + height * (1 - y.place(value)));
const round = (value: number) => Math.round(value * 10) / 10;

function text(x: number, y: number, content: string, kind: "ink" | "muted", attributes = ""): string {
  const colour = kind === "ink" ? INK.light : MUTED.light;
  return `<text class="${kind}" fill="${colour}" x="${x}" y="${y}" ${attributes}>${escapeText(content)}</text>`;
}

/** An estimate; system fonts differ. */
const textWidth = (text: string) => text.length * FONT * 0.62;

const slug = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 40);
