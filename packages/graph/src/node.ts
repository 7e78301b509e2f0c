export * from "./index.js";
export { modality } from "./modality/index.js";
export * from "./read/files.js";
export * from "./skeleton/folder.js";
export { skeletonStrip } from "./skeleton/strip.js";
