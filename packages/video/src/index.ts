export * from "./cube-tokens.js";
