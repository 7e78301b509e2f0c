export * from "./index.js";
export { modality } from "./modality/index.js";
export { savePointPicture, writePointPictures } from "./pictures/write-pictures.js";
export * from "./read/point-arrays.js";
export * from "./read/point-folder.js";
