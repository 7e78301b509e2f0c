export * from "./spectrogram-tokens.js";
