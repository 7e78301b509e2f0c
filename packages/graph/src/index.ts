export * from "./datasets.js";
export * from "./evaluate/node-probe.js";
export * from "./graph.js";
export * from "./methods/graph-mae.js";
export type { GnnKind } from "./nn/gnn.js";
export type { GraphActivation, GraphNorm } from "./nn/parts.js";
export * from "./read/graph-data.js";
export * from "./read/planetoid.js";
export * from "./structure.js";
