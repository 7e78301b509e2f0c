import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UnmaskError } from "../errors.js";
import { type LineChartOptions, lineChart } from "./line-chart.js";
import { formatNumber, linearScale, logScale } from "./ticks.js";

const chart = (options: Partial<LineChartOptions>) =>
  lineChart({
    title: "Loss",
    xLabel: "epoch",
    yLabel: "loss",
    series: [{ name: "train", x: [0, 1, 2], y: [4, 2, 1] }],
    ...options,
  });
const tickTexts = (svg: string, anchor: "end" | "middle") =>
  [...svg.matchAll(new RegExp(`text-anchor="${anchor}">([^<]*)<`, "g"))].map(([, text]) => text);

describe("line chart", () => {
  test("puts points where the ticks say", () => {
    const svg = chart({ series: [{ name: "a", x: [0, 10], y: [0, 4] }] });
    const [, x0, y0, x1, y1] = / d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"/.exec(svg)!.map(Number);
    const tick = (text: string, anchor: string) =>
      new RegExp(`x="([\\d.]+)" y="([\\d.]+)" text-anchor="${anchor}">${text}<`).exec(svg)!.map(Number);
    expect(x0).toBeCloseTo(tick("0", "middle")[1]!, 1);
    expect(x1).toBeCloseTo(tick("10", "middle")[1]!, 1);
    expect(y0! + 4).toBeCloseTo(tick("0", "end")[2]!, 1);
    expect(y1! + 4).toBeCloseTo(tick("4", "end")[2]!, 1);
  });

  test("names itself, its axes and, where there are several, its series", () => {
    const one = chart({});
    expect(one).toMatch(
      /<title id="[^"]+">Loss<\/title><desc id="[^"]+">loss over epoch, 0 to 2\. train: from 4 to 1/,
    );
    expect(one).not.toContain(">train</text>");
    const series = [
      { name: "train", x: [0], y: [1] },
      { name: "test", x: [0], y: [2], style: "points" as const },
    ];
    expect(chart({ series })).toContain(">test</text>");
  });

  test("leaves gaps where values are not finite, or not positive on a logarithmic axis", () => {
    const series = [{ name: "a", x: [0, 1, 2, 3, 4], y: [1, 2, Number.NaN, 4, 5] }];
    expect(chart({ series }).match(/ d="(M[^"]*L[^"]*)"/)![1]).toMatch(/^M[^M]+M[^M]+$/);
    const negative = [{ name: "a", x: [0, 1, 2, 3, 4], y: [1, 10, -1, 100, 1000] }];
    expect(chart({ series: negative, logY: true }).match(/ d="(M[^"]*L[^"]*)"/)![1]).toMatch(
      /^M[^M]+M[^M]+$/,
    );
  });

  test("draws a single point", () => {
    expect(chart({ series: [{ name: "a", x: [1], y: [5] }] })).toMatch(/<circle[^>]+><title>a at 1: 5</);
  });

  test("escapes names", () => {
    const svg = chart({ title: "<script>", series: [{ name: `"><b>`, x: [1, 2], y: [1, 2] }] });
    expect(svg).not.toMatch(/<script|<b>/);
  });

  test("names decades on a logarithmic axis", () => {
    const svg = chart({ series: [{ name: "a", x: [0, 1], y: [0.001, 100] }], logY: true });
    expect(tickTexts(svg, "end")).toEqual(["0.001", "0.01", "0.1", "1", "10", "100"]);
  });

  test("refuses what cannot be drawn", () => {
    expect(() => chart({ series: [{ name: "a", x: [1], y: [Number.NaN] }] })).toThrow(/leave the chart out/);
    expect(() => chart({ series: [{ name: "a", x: [1, 2], y: [1] }] })).toThrow(/x has 2 values, y has 1/);
    expect(() => chart({ width: 20 })).toThrow(UnmaskError);
  });

  test("keeps every finite course within its frame", () => {
    const number = fc.oneof(fc.double(), fc.double({ min: -10, max: 10 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 30 }),
        fc.boolean(),
        (points, logY) => {
          const y = points.map(([, y]) => (logY ? Math.abs(y) : y));
          const svg = chart({
            series: [{ name: "a", x: [1, ...points.map(([x]) => x)], y: [1, ...y] }],
            logY,
          });
          expect(svg).not.toMatch(/NaN|Infinity|undefined/);
          for (const [, line] of svg.matchAll(/ d="M([^"]*L[^"]*)"/g))
            for (const point of line!.split(/[LM]/)) {
              const [px, py] = point.split(" ").map(Number);
              expect(px).toBeGreaterThanOrEqual(0);
              expect(px).toBeLessThanOrEqual(720);
              expect(py).toBeGreaterThanOrEqual(0);
              expect(py).toBeLessThanOrEqual(300);
            }
        },
      ),
    );
  });
});

describe("scales", () => {
  test.each([
    [0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]],
    [0.61, 1.58, ["0.6", "0.8", "1.0", "1.2", "1.4", "1.6"]],
    [0, 4.2e-5, ["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]],
    [0, 2.5e6, ["0", "5e5", "1e6", "1.5e6", "2e6", "2.5e6"]],
    [5, 5, ["4.4", "4.6", "4.8", "5.0", "5.2", "5.4", "5.6"]],
  ])("%d to %d has round ticks", (min, max, expected) => {
    const { ticks, format } = linearScale(min, max, 5);
    expect(ticks.map(format)).toEqual(expected);
  });

  test("a logarithmic scale of less than a decade has round ticks too", () => {
    const { ticks, format, place, low, high } = logScale(2, 9, 4);
    expect(ticks.map(format)).toEqual(["2", "4", "6", "8", "10"]);
    expect(place(Math.sqrt(low * high))).toBeCloseTo(0.5, 12);
  });

  test("a logarithmic scale ends near its values", () => {
    const { ticks, low, high } = logScale(0.051, 4.9, 4);
    expect([low, high]).toEqual([0.05, 5]);
    expect(ticks).toEqual([0.05, 0.1, 0.2, 0.5, 1, 2, 5]);
  });

  test.each([
    [0.68284, "0.6828"],
    [12345.6, "12346"],
    [0.00025, "2.5e-4"],
    [1e6, "1e6"],
    [0, "0"],
  ])("%d is written %s", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });
});
