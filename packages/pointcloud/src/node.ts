export * from "./index.js";
export { createPartSegmenter, createPointClassifier } from "./modality/classifier.js";
export { modality } from "./modality/index.js";
export { savePointPicture, writePointPictures } from "./pictures/write-pictures.js";
export * from "./read/point-arrays.js";
export * from "./read/point-folder.js";
