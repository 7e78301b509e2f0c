import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Buckets } from "./downsample.js";

function fill(values: readonly number[], limit: number): Buckets {
  const buckets = new Buckets(limit);
  values.forEach((value, i) => {
    buckets.add(i, value);
  });
  return buckets;
}

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 400 });

describe("buckets", () => {
  test("keep a short course as it is", () => {
    const buckets = fill([3, 1, 2], 8);
    expect(buckets.extremes()).toEqual({ x: [0, 1, 2], y: [3, 1, 2] });
    expect(buckets.means()).toEqual({ x: [0, 1, 2], y: [3, 1, 2] });
  });

  test("stay bounded, in order, and keep lowest and highest at their place", () => {
    fc.assert(
      fc.property(values, (course) => {
        const buckets = fill(course, 8);
        const { x, y } = buckets.extremes();
        expect(buckets.length).toBeLessThanOrEqual(8);
        expect([...x].sort((a, b) => a - b)).toEqual(x);
        expect(Math.min(...y)).toBe(Math.min(...course));
        expect(Math.max(...y)).toBe(Math.max(...course));
        x.forEach((at, i) => {
          expect(course[at]).toBe(y[i]);
        });
      }),
    );
  });

  test("average all of their points", () => {
    const buckets = fill(
      Array.from({ length: 64 }, (_, i) => i),
      8,
    );
    expect(buckets.means().y).toEqual([3.5, 11.5, 19.5, 27.5, 35.5, 43.5, 51.5, 59.5]);
  });

  test("leave out what is not finite", () => {
    expect(fill([1, Number.NaN, Number.POSITIVE_INFINITY, 2], 8).means().y).toEqual([1, 2]);
  });
});

describe("smoothed course", () => {
  test("begins where the course begins and is unmoved by a straight line", () => {
    const line = Array.from({ length: 400 }, (_, i) => 10 - 0.01 * i);
    const { y } = fill(line, 512).smoothed();
    expect(y[0]).toBe(10);
    for (let i = 0; i < 390; i++) expect(y[i]).toBeCloseTo(line[i]!, 9);
  });

  test("takes most of an alternation out", () => {
    const { y } = fill(
      Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? 1 : -1)),
      512,
    ).smoothed();
    for (const value of y.slice(10, -10)) expect(Math.abs(value)).toBeLessThan(0.03);
    expect(Math.abs(y.at(-1)!)).toBeLessThan(0.2); // half the window is missing
  });
});
