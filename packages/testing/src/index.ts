export * from "./engines.js";
export * from "./golden.js";
