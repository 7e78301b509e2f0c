export * from "./contract.js";
export * from "./engines.js";
export * from "./golden.js";
