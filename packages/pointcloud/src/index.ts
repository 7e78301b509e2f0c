export * from "./point-patches.js";
