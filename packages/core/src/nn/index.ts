export * from "./attention.js";
export * from "./init.js";
export * from "./layer-norm.js";
export * from "./linear.js";
export * from "./mlp.js";
export * from "./patch-embed.js";
export * from "./transformer.js";
