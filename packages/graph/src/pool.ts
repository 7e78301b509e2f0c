/** From nodes to rows of features: those of the nodes asked for, or one for each graph. */
import * as tf from "@tensorflow/tfjs";
import { expect, type Pool, segmentSum, UnmaskError } from "@unmask/core";
import type { Joined } from "./structure.js";

export type GraphPooling = "mean" | "max" | "sum";

/**
 * @param x [N, D]
 * @returns [samples, D]; with "tokens" all nodes of graphs of one size, [samples, nodes, D]
 */
export function poolNodes(
  name: string,
  x: tf.Tensor,
  { nodes, wanted, graphOf }: Pick<Joined, "nodes" | "wanted" | "graphOf">,
  samples: number,
  pool: GraphPooling | Pool,
): tf.Tensor {
  if (wanted !== undefined) return tf.gather(x, tf.tensor1d(wanted, "int32"));
  const of = graphOf ?? new Int32Array(nodes);
  const sizes = new Int32Array(samples);
  for (const graph of of) sizes[graph]!++;
  switch (pool) {
    case "sum":
      return segmentSum(x, of, samples);
    case "mean":
      return tf.div(segmentSum(x, of, samples), tf.tensor2d(Float32Array.from(sizes), [samples, 1]));
    case "max": {
      let first = 0;
      const rows = Array.from(sizes, (size) => {
        const row = tf.max(x.slice([first, 0], [size, -1]), 0, true); // [1, D]
        first += size;
        return row;
      });
      return tf.concat(rows, 0);
    }
    case "tokens":
      expect(
        sizes.every((size) => size === sizes[0]),
        `${name}: graphs of ${Math.min(...sizes)} to ${Math.max(...sizes)} nodes; all tokens of a batch need graphs of one size, encode them one by one`,
      );
      return x.reshape([samples, sizes[0]!, x.shape[1]!]);
    default:
      throw new UnmaskError(
        `${name}: graphs have no class token for pool "${pool}"; use mean, max, sum or tokens`,
      );
  }
}
