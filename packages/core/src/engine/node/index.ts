export { type DoctorReport, doctor, formatDoctor, type MatmulRate, measureMatmul } from "./doctor.js";
export {
  type InstallTensorflowOptions,
  installTensorflow,
  type TensorflowInstallation,
} from "./install-tensorflow.js";
