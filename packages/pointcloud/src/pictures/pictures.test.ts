import { createRandom } from "@unmask/core";
import { describe, expect, it } from "vitest";
import { shapes } from "../../test/shapes.js";
import { pointGrid } from "./grid.js";
import { pointPage } from "./page.js";
import { frameOf, renderPoints } from "./render.js";

const red = [200, 0, 0] as const;
const blue = [0, 0, 200] as const;
const straight = { size: 41, turn: 0, lift: 0, frame: { middle: [0, 0, 0], reach: 1 } } as const;

const at = (picture: ReturnType<typeof renderPoints>, row: number, column: number) => [
  ...picture.pixels.subarray(3 * (row * picture.width + column), 3 * (row * picture.width + column) + 3),
];

describe("renderPoints", () => {
  it("draws y upwards and x to the right, and nothing but paper elsewhere", () => {
    const picture = renderPoints([{ points: Float32Array.from([0.5, 0.8, 0]), colour: red }], straight);
    const inked: number[][] = [];
    for (let row = 0; row < 41; row++)
      for (let column = 0; column < 41; column++)
        if (at(picture, row, column)[1]! < 255) inked.push([row, column]);
    expect(inked.length).toBeGreaterThan(0);
    for (const [row, column] of inked) {
      expect(row).toBeLessThan(10);
      expect(column).toBeGreaterThan(25);
    }
  });

  it("lets near points hide far ones, whatever their order, and draws far ones fainter", () => {
    const near = { points: Float32Array.from([0, 0, 0.9]), colour: red };
    const far = { points: Float32Array.from([0, 0, -0.9]), colour: blue };
    for (const layers of [
      [near, far],
      [far, near],
    ]) {
      const [r, , b] = at(renderPoints(layers, straight), 20, 20);
      expect(r).toBeGreaterThan(b! + 100);
    }
    const shade = (layer: typeof near) => at(renderPoints([layer], straight), 20, 20)[1]!;
    expect(shade({ ...far, colour: red })).toBeGreaterThan(shade(near) + 50);
  });

  it("leaves out what is not finite", () => {
    const points = Float32Array.from([Number.NaN, 0, 0, Infinity, 0, 0]);
    expect(new Set(renderPoints([{ points, colour: red }], straight).pixels)).toEqual(new Set([255]));
    expect(frameOf(new Float32Array(3)).reach).toBe(1);
  });
});

const rows = shapes(2, createRandom(1)).map(({ points }) => ({
  original: points,
  visible: points.slice(0, 60),
  reconstructed: points.slice(60),
}));

describe("pointGrid", () => {
  it("has a row for each cloud, and a fourth column where only what was hidden is predicted", () => {
    const hidden = pointGrid({ rows, covers: "hidden", note: "" }, 50);
    expect([hidden.height, hidden.width]).toEqual([2 * 58 + 8, 4 * 58 + 8]);
    const whole = pointGrid({ rows, covers: "whole", note: "" }, 50);
    expect([whole.height, whole.width]).toEqual([2 * 58 + 8, 3 * 58 + 8]);
  });
});

describe("pointPage", () => {
  it("holds every coordinate, fetches nothing, and lets no name break out of the page", () => {
    const page = pointPage({ rows, covers: "hidden", note: "a < b" }, '</title><script src="x">');
    expect(page).not.toMatch(/<script src|https?:|@import|<link/);
    expect(page).toContain("a &#60; b");
    const data = JSON.parse(/DATA=(\[.*?\]),COLOURS/.exec(page)![1]!) as { o: string }[];
    const decoded = Uint8Array.from(atob(data[1]!.o), (sign) => sign.charCodeAt(0));
    expect([...new Float32Array(decoded.buffer)]).toEqual([...rows[1]!.original]);
  });
});
