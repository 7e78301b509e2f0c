export * from "./engine/node/index.js";
export * from "./train/run-store.js";
