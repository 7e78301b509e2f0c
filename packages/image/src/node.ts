export * from "./index.js";
export { createImageClassifier, createVitClassifier } from "./modality/classifier.js";
export { modality } from "./modality/index.js";
export * from "./pictures/save-picture.js";
export * from "./read/idx-images.js";
export * from "./read/image-folder.js";
export * from "./statistics-cache.js";
