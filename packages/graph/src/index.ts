export * from "./datasets.js";
export * from "./evaluate/graph-folds.js";
export * from "./evaluate/node-probe.js";
export * from "./graph.js";
export * from "./methods/gnn.js";
export {
  bridge,
  decode,
  encodeMasked,
  type GraphMaeBatch,
  type GraphMaeConfig,
  type GraphMaeParams,
  type GraphReconstruction,
  graphMae,
  keepEdges,
  type MaskingDraws,
  maskedInput,
  maskNodes,
  type NodeMasking,
  remask,
} from "./methods/graph-mae.js";
export * from "./methods/scgc.js";
export * from "./methods/skeleton-classifier.js";
export {
  type SkeletonMaeBatch,
  type SkeletonMaeConfig,
  type SkeletonMaeParams,
  type SkeletonReconstruction,
  skeletonMae,
} from "./methods/skeleton-mae.js";
export { createGraphClassifier } from "./modality/classifier.js";
export type { GnnKind } from "./nn/gnn.js";
export type { GraphActivation, GraphNorm } from "./nn/parts.js";
export * from "./read/collections.js";
export * from "./read/features.js";
export * from "./read/graph-data.js";
export * from "./read/network.js";
export * from "./read/planetoid.js";
export * from "./skeleton/clip.js";
export * from "./skeleton/parse.js";
export type { SkeletonSample } from "./skeleton/sample.js";
export { inducedGraph, loopedEdges, neighbourhood } from "./structure.js";
