import type { Random } from "../random.js";
import { checkExtents, hiddenCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

export interface NodeMaskOptions {
  /** Nodes of the graph, or of all graphs of a batch together. */
  readonly nodes: number;
  /** Share of the nodes to mask; trunc(ratio * nodes) of them are. */
  readonly ratio: number;
}

/** Random nodes of a graph, or of a batch of graphs taken as one (GraphMAE): a mask with one sample. */
export function nodeMask({ nodes, ratio }: NodeMaskOptions, random: Random): Mask {
  checkExtents("node", { nodes });
  const hidden = hiddenCount("node", nodes, ratio, "nodes");
  return maskHiding(1, nodes, () => random.permutation(nodes).subarray(0, hidden));
}
