export * from "./augment/colour.js";
export type { CubeConfig, VideoInput } from "./batch.js";
export * from "./checkpoints/hugging-face.js";
export * from "./checkpoints/official.js";
export * from "./cube-tokens.js";
export * from "./masks.js";
export * from "./methods/cross-video-mae.js";
export * from "./methods/text-guided-video-mae.js";
export * from "./methods/video-mae.js";
export * from "./methods/video-vit.js";
export {
  animationFrame,
  filmStrip,
  type Picture,
  type StripClips,
  stripClips,
} from "./pictures/film-strip.js";
export type { VideoReconstruction } from "./reconstruction.js";
export type * from "./sample.js";
export * from "./statistics.js";
