export * from "./errors.js";
export * from "./method.js";
export * from "./model.js";
export * from "./nn/index.js";
export * from "./ops/index.js";
export * from "./random.js";
export * from "./scope.js";
export * from "./tree.js";
