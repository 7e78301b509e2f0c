export * from "./geometry/farthest-points.js";
export * from "./geometry/groups.js";
export * from "./geometry/k-d-tree.js";
export * from "./methods/mae-3d.js";
export * from "./methods/point-cmae.js";
export * from "./methods/point-mae.js";
export type { PointReconstruction } from "./reconstruction.js";
export type { PointSample } from "./sample.js";
