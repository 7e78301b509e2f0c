export * from "./index.js";
export { modality } from "./modality/index.js";
export * from "./read/files.js";
