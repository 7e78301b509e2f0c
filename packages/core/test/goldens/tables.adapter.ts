/** The position tables of MAE, AudioMAE, VideoMAE, CMAE and MultiMAE, and MAE's interpolation. */
import type * as tf from "@tensorflow/tfjs";
import type { Golden, GoldenAdapter, GoldenResult } from "../../../testing/src/golden.js";
import { given } from "../../../testing/src/golden.js";
import { tensorOf } from "../../src/parameters.js";
import { interpolatePositions, sinCos1d, sinCos2d, sinCosBlocks1d } from "../../src/tokens/index.js";

/** Our table for a name such as `rect_h3_w5_d16_cls`, `mae_4x4_d16` or `interp_4to7`. */
function table(name: string, golden: Golden): tf.Tensor {
  const size = (letter: string) => Number(new RegExp(`_${letter}(\\d+)`).exec(name)?.[1]);
  const cls = name.endsWith("_cls");
  if (name.startsWith("videomae")) return sinCos1d(size("n"), size("d"));
  if (name.startsWith("sincos1d")) {
    const [, first, last] = /_pos(\d+)_(\d+)/.exec(name)!.map(Number) as [number, number, number];
    return sinCosBlocks1d(
      Array.from({ length: last - first + 1 }, (_, i) => first + i),
      size("d"),
    );
  }
  if (name.startsWith("mae")) {
    const [, rows, columns] = /_(\d+)x(\d+)/.exec(name)!.map(Number) as [number, number, number];
    return sinCos2d([rows, columns], size("d"), { cls });
  }
  if (name.startsWith("interp")) {
    const [, from, to] = /_(\d+)to(\d+)/.exec(name)!.map(Number) as [number, number, number];
    return interpolatePositions(tensorOf(given(golden.inputs, name)), [from, from], [to, to], { cls: 1 });
  }
  const grid: [number, number] = [size("h"), size("w")];
  if (name.startsWith("rect")) return sinCos2d(grid, size("d"), { cls });
  // MoCo v3's tables run over the transposed grid; see the order option of sinCos2d.
  const rowFirst = sinCos2d([grid[1], grid[0]], size("d"), { order: "row-first", cls });
  return name.startsWith("multimae") ? rowFirst.transpose().reshape([size("d"), ...grid]) : rowFirst;
}

function run(golden: Golden): GoldenResult {
  const outputs = new Map([...golden.outputs.keys()].map((name) => [name, table(name, golden)]));
  return { outputs, gradients: new Map() };
}

export const positionTables: GoldenAdapter = { accepts: ({ method }) => method === "positional tables", run };
