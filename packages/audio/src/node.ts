export * from "./index.js";
export { createAudioClassifier } from "./modality/classifier.js";
export { modality } from "./modality/index.js";
export { writeReconstruction } from "./pictures/write-reconstruction.js";
export {
  type AudioInfo,
  audioInfo,
  type Part,
  readAudio,
  type StreamOptions,
  streamAudio,
} from "./read/audio-file.js";
export * from "./read/audio-folder.js";
export type { LabelOptions } from "./read/labels.js";
export * from "./statistics-cache.js";
