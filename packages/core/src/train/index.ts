export { valueAndGradients } from "./backward.js";
export * from "./dataset.js";
export type * from "./events.js";
export type { Losses } from "./gradients.js";
export type { SkippedSample } from "./loader.js";
export * from "./options.js";
export * from "./pretrain.js";
export type { MetricsLine, RunConfig } from "./run.js";
export * from "./train.js";
