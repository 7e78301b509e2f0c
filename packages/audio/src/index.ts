export * from "./features/fbank.js";
export * from "./methods/audio-mae.js";
export type { AudioReconstruction } from "./reconstruction.js";
export * from "./sample.js";
export * from "./spectrogram-tokens.js";
