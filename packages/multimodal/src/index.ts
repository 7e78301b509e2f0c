export * from "./array-decoder.js";
export * from "./array-encoder.js";
export * from "./array-modality.js";
export * from "./bands.js";
export {
  applyBiasedTransformer,
  applyCrossTransformer,
  type BiasedTransformerParams,
  type CrossTransformerParams,
  initBiasedTransformer,
  initCrossTransformer,
} from "./biased-transformer.js";
export * from "./brain-network.js";
export * from "./budget.js";
export * from "./by-modality.js";
export { bertEmbeddings, importBert } from "./checkpoints/bert.js";
export * from "./checkpoints/croma.js";
export * from "./compose.js";
export * from "./diffusion.js";
export * from "./distance-bias.js";
export * from "./encode-by-presence.js";
export * from "./fusion.js";
export * from "./join-tokens.js";
export * from "./methods/av-mae.js";
export {
  type CaptionGuidedBatch,
  type CaptionGuidedConfig,
  type CaptionGuidedParams,
  captionGuidedMae,
  captionScores,
  embedGuidedClips,
} from "./methods/caption-guided-mae.js";
export * from "./methods/croma.js";
export * from "./methods/dual-encoder.js";
export { type HicmaeBatch, type HicmaeConfig, type HicmaeParams, hicmae } from "./methods/hicmae.js";
export {
  embedMavil,
  type MavilBatch,
  type MavilConfig,
  type MavilParams,
  type MavilSizes,
  mavil,
} from "./methods/mavil.js";
export { type MavilFeaturesBatch, mavilFeatures } from "./methods/mavil-features.js";
export * from "./methods/mind-eye.js";
export * from "./methods/mind-eye-low-level.js";
export * from "./methods/multi-mae.js";
export {
  embedPairwise,
  otherViewContrast,
  type PairwiseBatch,
  type PairwiseConfig,
  type PairwiseParams,
  pairwiseContrastMethod,
} from "./methods/pairwise-contrast.js";
export { type SimvtpBatch, type SimvtpConfig, type SimvtpParams, simvtp } from "./methods/simvtp.js";
export {
  embedSmaug,
  matchSmaug,
  type SmaugBatch,
  type SmaugConfig,
  type SmaugParams,
  smaug,
} from "./methods/smaug.js";
export * from "./methods/smaug-answers.js";
export * from "./mix-contrast.js";
export * from "./output-adapter.js";
export * from "./pairwise-contrast.js";
export * from "./part-pictures.js";
export * from "./presence.js";
export * from "./sample.js";
export * from "./stains.js";
export { encodeTexts, learnVocabulary } from "./text/word-piece.js";
