export * from "./engine/node/index.js";
export { syncDirectory, writeFileAtomic } from "./io/atomic-write.js";
export {
  type LazyTensor,
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "./io/safetensors-file.js";
export { readTorchFile, writeTorchFile } from "./io/torch-file.js";
export * from "./train/run-store.js";
