export * from "./engine/node/index.js";
