export * from "./join-graphs.js";
