import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { patchify, unpatchify } from "./patchify.js";

const counting = (shape: number[]) => tf.range(0, tf.util.sizeFromShape(shape)).reshape(shape);
const cases = fc.integer({ min: 1, max: 3 }).chain((dims) =>
  fc.record({
    batch: fc.integer({ min: 1, max: 3 }),
    grid: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: dims, maxLength: dims }),
    patch: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: dims, maxLength: dims }),
    channels: fc.integer({ min: 1, max: 5 }),
  }),
);

/** Every index below `extents`, row-major. */
const indices = (extents: readonly number[]): number[][] =>
  extents.reduce<number[][]>(
    (all, extent) => all.flatMap((head) => Array.from({ length: extent }, (_, i) => [...head, i])),
    [[]],
  );

await onEveryEngine("patchify", () => {
  it("puts (row, column, channel) of every patch in a row-major token, in 1, 2 and 3 dimensions", () => {
    fc.assert(
      fc.property(cases, ({ batch, grid, patch, channels }) =>
        tf.tidy(() => {
          const shape = [batch, ...grid.map((cells, i) => cells * patch[i]!), channels];
          const at = (index: number[]) => index.reduce((flat, i, axis) => flat * shape[axis]! + i, 0);
          const expected = indices([batch, ...grid]).flatMap(([b, ...cell]) =>
            indices([...patch, channels]).map((inner) =>
              at([b!, ...cell.map((c, axis) => c * patch[axis]! + inner[axis]!), inner.at(-1)!]),
            ),
          );
          const tokens = patchify(counting(shape), patch);
          expect(Array.from(tokens.dataSync())).toEqual(expected);
          expect(tokens.shape[0]).toBe(batch);
          expect(tokens.shape[1]).toBe(grid.reduce((a, b) => a * b));
        }),
      ),
      { numRuns: 60 },
    );
  });

  it("is undone by unpatchify", () => {
    fc.assert(
      fc.property(cases, ({ batch, grid, patch, channels }) =>
        tf.tidy(() => {
          const x = counting([batch, ...grid.map((cells, i) => cells * patch[i]!), channels]);
          const back = unpatchify(patchify(x, patch), grid, patch);
          expect(back.shape).toEqual(x.shape);
          expect(back.dataSync()).toEqual(x.dataSync());
        }),
      ),
      { numRuns: 60 },
    );
  });

  it("has the gradient that puts every value back where it came from", () => {
    const x = counting([2, 2, 6, 4, 3]);
    const weights = counting([2, 6, 24]);
    const gradient = tf.grad((v) => tf.sum(tf.mul(patchify(v, [1, 2, 4]), weights)))(x);
    expect(gradient.dataSync()).toEqual(unpatchify(weights, [2, 3, 1], [1, 2, 4]).dataSync());
  });

  it("says what does not fit", () => {
    expect(() => patchify(tf.zeros([1, 30, 32, 3]), [8, 8])).toThrow(
      "patchify: size 30 x 32 is not a multiple of patch 8 x 8; crop or pad the input first",
    );
    expect(() => patchify(tf.zeros([1, 32, 3]), [8, 8])).toThrow("as many spatial dimensions");
    expect(() => unpatchify(tf.zeros([1, 5, 12]), [2, 2], [2, 2])).toThrow("grid of 2 x 2");
  });
});
