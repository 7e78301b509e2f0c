export * from "./cube-tokens.js";
export * from "./masks.js";
export * from "./methods/video-mae.js";
export * from "./methods/video-vit.js";
export type { VideoReconstruction } from "./reconstruction.js";
export type { VideoSample } from "./sample.js";
