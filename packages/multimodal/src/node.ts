export * from "./index.js";
export { modality } from "./modality/index.js";
export * from "./pictures/write-pictures.js";
export * from "./read/aligned-samples.js";
export { type ListedSample, listSamples, type PartSource } from "./read/listing.js";
