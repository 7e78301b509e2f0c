export * from "./errors.js";
export * from "./ops/index.js";
export * from "./random.js";
export * from "./tree.js";
