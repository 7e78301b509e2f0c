export * from "./index.js";
export * from "./read/files.js";
