export * from "./augment/augment.js";
export { type AudioInput, audioInputShape, spectrogramTensor } from "./batch.js";
export * from "./checkpoints/official.js";
export {
  createFbank,
  type FbankOptions,
  type FbankStream,
  fbank,
  type Spectrogram,
} from "./features/fbank.js";
export {
  type AudioForm,
  clipLength,
  spectrogramClips,
  spectrogramSample,
} from "./features/sample-features.js";
export * from "./methods/audio-mae.js";
export * from "./methods/audio-vit.js";
export { griffinLim } from "./pictures/griffin-lim.js";
export {
  type Picture,
  readReconstruction,
  type SpectrogramPictures,
  spectrogramPicture,
} from "./pictures/spectrogram-picture.js";
export { createResampler, type Resampler, resample } from "./read/resample.js";
export { decodeWav, encodeWav } from "./read/wav.js";
export type { AudioReconstruction } from "./reconstruction.js";
export * from "./sample.js";
export * from "./statistics.js";
export * from "./tagging.js";
