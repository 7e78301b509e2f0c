export * from "./adamw.js";
export * from "./clip.js";
export * from "./ema.js";
export * from "./lamb.js";
export * from "./lars.js";
export type { Optimizer, OptimizerState, StepOptions } from "./optimizer.js";
export * from "./rules.js";
export * from "./schedule.js";
export * from "./sgd.js";
