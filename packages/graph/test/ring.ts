import type { Random } from "@unmask/core";
import type { Graph } from "../src/graph.js";

/** A ring of random features with some chords. */
export function ring(nodes: number, random: Random, width = 6): Graph {
  const pairs: [number, number][] = Array.from({ length: nodes }, (_, i) => [i, (i + 1) % nodes]);
  pairs.push([0, nodes >> 1], [1, nodes - 2]);
  const both = pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]);
  return {
    nodes,
    features: random.normals(nodes * width),
    from: Int32Array.from(both, ([from]) => from),
    to: Int32Array.from(both, ([, to]) => to),
  };
}
