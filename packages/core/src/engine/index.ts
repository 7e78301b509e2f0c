export type { EngineOptions } from "./candidates.js";
export type { EngineName, PassedOver } from "./choose.js";
export { currentEngine, type EngineInfo, startEngine } from "./engine.js";
