export * from "./index.js";
export { createVideoClassifier } from "./modality/classifier.js";
export { modality } from "./modality/index.js";
export * from "./pictures/write-reconstruction.js";
export * from "./read/video-folder.js";
