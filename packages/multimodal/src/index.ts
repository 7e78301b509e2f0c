export * from "./join-tokens.js";
