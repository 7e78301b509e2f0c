export * from "./graph.js";
export * from "./methods/graph-mae.js";
export type { GnnKind } from "./nn/gnn.js";
export type { GraphActivation, GraphNorm } from "./nn/parts.js";
export * from "./structure.js";
