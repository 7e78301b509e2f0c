export * from "./augment/affine.js";
export * from "./augment/augmentations.js";
export * from "./augment/blur.js";
export {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  type ColourJitterOptions,
  colourJitter,
  grayscale,
  solarise,
} from "./augment/colour.js";
export { gaussianNoise, jpegArtefacts, randomCrop, rotateQuarters } from "./augment/degrade.js";
export { resample } from "./augment/resample.js";
export * from "./augment/view.js";
export * from "./checkpoints/hugging-face.js";
export * from "./checkpoints/official.js";
export { type BootMaeBatch, type BootMaeConfig, type BootMaeParams, bootMae } from "./methods/boot-mae.js";
export { type ByolBatch, type ByolConfig, type ByolParams, byol } from "./methods/byol.js";
export { type CmaeBatch, type CmaeConfig, type CmaeParams, cmae } from "./methods/cmae.js";
export { type ConvDaeBatch, type ConvDaeConfig, type ConvDaeParams, convDae } from "./methods/conv-dae.js";
export { type ConvMaeBatch, type ConvMaeConfig, type ConvMaeParams, convMae } from "./methods/conv-mae.js";
export { type ConvNetBatch, type ConvNetConfig, type ConvNetParams, convNet } from "./methods/conv-net.js";
export { type ConvVitBatch, type ConvVitConfig, type ConvVitParams, convVit } from "./methods/conv-vit.js";
export { type EdgeMaeBatch, type EdgeMaeConfig, type EdgeMaeParams, edgeMae } from "./methods/edge-mae.js";
export { type GSimclrBatch, type GSimclrConfig, type GSimclrParams, gSimclr } from "./methods/g-simclr.js";
export {
  type HybridDistillationBatch,
  type HybridDistillationConfig,
  type HybridDistillationParams,
  hybridDistillation,
} from "./methods/hybrid-distillation.js";
export * from "./methods/mae.js";
export {
  type MixedAeBatch,
  type MixedAeConfig,
  type MixedAeParams,
  mixedAe,
} from "./methods/mixed-ae.js";
export { type MocoBatch, type MocoConfig, type MocoParams, moco } from "./methods/moco.js";
export { type MrMaeBatch, type MrMaeConfig, type MrMaeParams, mrMae } from "./methods/mr-mae.js";
export { type SaimBatch, type SaimConfig, type SaimParams, saim } from "./methods/saim.js";
export { type SelfConBatch, type SelfConConfig, type SelfConParams, selfCon } from "./methods/self-con.js";
export { type SimclrBatch, type SimclrConfig, type SimclrParams, simclr } from "./methods/simclr.js";
export { type SparkBatch, type SparkConfig, type SparkParams, spark } from "./methods/spark.js";
export { type SupConBatch, type SupConConfig, type SupConParams, supCon } from "./methods/sup-con.js";
export { type SwavBatch, type SwavConfig, type SwavParams, swav } from "./methods/swav.js";
export * from "./methods/vit.js";
export type { BackboneConfig, BackboneParams, VitEncoderParams } from "./nn/backbone.js";
export * from "./nn/convnext.js";
export * from "./nn/drop-path.js";
export { type ActivePlaces, activePlaces, globalMean, type MapOptions } from "./nn/feature-map.js";
export * from "./nn/resnet.js";
export {
  type GridImages,
  type GridOptions,
  gridImages,
  type Picture,
  pictureGrid,
} from "./pictures/grid.js";
export * from "./read/array-images.js";
export type { Channels } from "./read/channels.js";
export type { TrainingView, ViewOptions } from "./read/view-options.js";
export type { ImageReconstruction } from "./reconstruction.js";
export * from "./sample.js";
export * from "./statistics.js";
export * from "./views.js";
