import * as tf from "@tensorflow/tfjs";
import { expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { expectClose, readGolden } from "../../test/support.js";
import { createRandom } from "../random.js";
import { gradientCheck } from "../testing/gradient-check.js";
import { interpolatePositions, sinCos1d, sinCos2d, sinCosBlocks1d } from "./position.js";

const golden = readGolden("pos_tables");

/** Our table for the name of an output of the golden. */
function table(name: string): tf.Tensor {
  const size = (letter: string) => Number(new RegExp(`_${letter}(\\d+)`).exec(name)?.[1]);
  const cls = name.endsWith("_cls");
  if (name.startsWith("videomae")) return sinCos1d(size("n"), size("d"));
  if (name.startsWith("sincos1d")) return sinCosBlocks1d([0, 1, 2, 3, 4, 5], size("d"));
  if (name.startsWith("mae")) {
    const [, rows, columns] = /_(\d+)x(\d+)/.exec(name)!;
    return sinCos2d([Number(rows), Number(columns)], size("d"), { cls });
  }
  if (name.startsWith("interp")) {
    const [, from, to] = /_(\d+)to(\d+)/.exec(name)!.map(Number) as [number, number, number];
    return interpolatePositions(golden.tensor(`inputs.${name}`), [from, from], [to, to], { cls: 1 });
  }
  const grid: [number, number] = [size("h"), size("w")];
  if (name.startsWith("rect")) return sinCos2d(grid, size("d"), { cls });
  // MoCo v3's tables run over the transposed grid; see the order option.
  const rowFirst = sinCos2d([grid[1], grid[0]], size("d"), { order: "row-first", cls });
  return name.startsWith("multimae") ? rowFirst.transpose().reshape([size("d"), ...grid]) : rowFirst;
}

const outputs = golden.names
  .filter((name) => name.startsWith("outputs."))
  .map((name) => name.slice("outputs.".length));

await onEveryEngine("position tables", () => {
  it.each(outputs)("%s equals the reference", (name) => {
    expectClose(table(name), golden.tensor(`outputs.${name}`), 1e-6, name);
  });

  it("keeps a table that is asked for its own grid", () => {
    const positions = tf.tensor(createRandom(1).normals(16 * 4), [1, 16, 4]);
    expectClose(interpolatePositions(positions, [2, 8], [2, 8]), positions, 1e-7);
  });

  it("resizes rows and columns apart", () => {
    const columns = sinCos2d([1, 3], 8).reshape([1, 3, 8]);
    const tall = interpolatePositions(columns, [1, 3], [4, 3]);
    expectClose(tall, columns.tile([1, 4, 1]), 1e-6);
  });

  it("lets gradients through an interpolated table", () => {
    const positions = tf.tensor(createRandom(1).normals(7 * 4), [1, 7, 4]);
    const { error } = gradientCheck(
      (x) => tf.sum(tf.square(interpolatePositions(x, [2, 3], [4, 5], { cls: 1 }))),
      [positions],
      createRandom(2),
    );
    expect(error).toBeLessThan(1e-3);
  });

  it("says which widths are possible", () => {
    expect(() => sinCos2d([2, 2], 18)).toThrow("sinCos2d: width 18 is not divisible by 4; use 20");
    expect(() => interpolatePositions(tf.zeros([1, 9, 4]), [3, 3], [4, 4], { cls: 1 })).toThrow("[1, 10, D]");
  });
});
