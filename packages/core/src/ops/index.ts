export { type AttentionOptions, attention, selfAttention } from "./attention.js";
export { type ConvOptions, type ConvTransposeOptions, conv2d, convTranspose2d } from "./conv2d.js";
export { type Activation, gelu } from "./gelu.js";
export { kernels } from "./kernel.js";
export { layerNorm } from "./layer-norm.js";
export { type LinearOptions, linear } from "./linear.js";
export { gatherAny, segmentSum } from "./segment-sum.js";
export { restoreRows, takeRows } from "./take-rows.js";
