import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { normaliseJoint } from "./normalise-target.js";
import { addPatchStatistics } from "./patch-statistics.js";

it("undoes a normalised target by statistics of the truth, of patches near by, or of the truth where none is seen", () => {
  const patches = tf.tensor3d([1, 3, 10, 14, 20, 22, 5, 9, 0, 2, 7, 8], [2, 3, 2]);
  const prediction = normaliseJoint(patches) as tf.Tensor3D;
  const hidden = new Float32Array([1, 0, 0, 1, 1, 1]);
  const undone = (source: "visible" | "truth") =>
    addPatchStatistics(prediction, { patches, hidden, grid: [3], source }).arraySync();
  const near = (rows: number[][], wanted: number[][]) =>
    rows.forEach((row, i) => {
      row.forEach((value, j) => {
        expect(value).toBeCloseTo(wanted[i]![j]!, 3);
      });
    });
  const truth = patches.arraySync();
  near(undone("truth").flat(), truth.flat());
  const [first, second] = undone("visible");
  near(second!, truth[1]!);
  // One and two places away: by the inverse fourth power 16 to 1.
  const mean = (16 * 12 + 21) / 17;
  const deviation = (16 * Math.SQRT2 * 2 + Math.SQRT2) / 17;
  near(first!, [
    [mean - deviation / Math.SQRT2, mean + deviation / Math.SQRT2],
    [10, 14],
    [20, 22],
  ]);
});
