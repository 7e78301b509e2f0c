export * from "./engine/node/index.js";
export { syncDirectory, writeFileAtomic } from "./io/atomic-write.js";
export { keptMeasurement } from "./io/kept-measurement.js";
export { type FolderListing, folderClasses, listFolder } from "./io/list-folder.js";
export {
  describeModel,
  type LoadedModel,
  loadModel,
  loadParameters,
  type ModelDescription,
  saveModel,
} from "./io/model-directory.js";
export {
  type LazyTensor,
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "./io/safetensors-file.js";
export { readTorchFile, writeTorchFile } from "./io/torch-file.js";
export { type RunEvaluations, readEvaluations, writeEvaluation } from "./report/evaluation-files.js";
export { type WriteReportOptions, writeReport } from "./report/write-report.js";
export {
  createThreadPool,
  defaultThreads,
  type ThreadPool,
  type ThreadProgram,
} from "./thread-pool.js";
export { createRun, openRun, packageVersions, readRunConfig } from "./train/run-store.js";
