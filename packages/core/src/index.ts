export { applyBufferUpdates, pendingBuffer, updateBuffer } from "./buffers.js";
export * from "./engine/index.js";
export * from "./errors.js";
export * from "./evaluate/index.js";
export * from "./io/hugging-face.js";
export { parseIdx } from "./io/idx.js";
export { encodeNpy, encodeNpz, parseNpy, parseNpz } from "./io/npy.js";
export { type NumpyValue, parseNumpyPickle, parseSparseNpz, type SparseRows } from "./io/numpy-pickle.js";
export {
  type DType,
  joinRows,
  type RawTensor,
  rawTensor,
  splitRows,
  type TensorData,
  type TensorInfo,
  toFloat32,
  toInt32,
  typedView,
} from "./io/raw-tensor.js";
export { encodeSafetensors, parseSafetensors, type Safetensors } from "./io/safetensors.js";
export { encodeTorchZip, type TorchZipOptions } from "./io/torch-write.js";
export { findStateDict, isRawTensor, parseTorch, type TorchValue } from "./io/torch-zip.js";
export * from "./losses/index.js";
export * from "./masking/index.js";
export * from "./method.js";
export {
  energyDifference,
  type MetropolisOptions,
  metropolis,
  type RegularisedAutoEncoderConfig,
  type RegularisedAutoEncoderParams,
  regularisedAutoEncoder,
  score,
  scoreJacobian,
} from "./methods/regularised-auto-encoder.js";
export type * from "./modality.js";
export * from "./model.js";
export * from "./nn/index.js";
export * from "./ops/index.js";
export * from "./optim/index.js";
export * from "./parameters.js";
export * from "./pixels.js";
export * from "./random.js";
export * from "./report/index.js";
export * from "./scope.js";
export * from "./tokens/index.js";
export * from "./train/index.js";
export * from "./transfer.js";
export * from "./tree.js";
