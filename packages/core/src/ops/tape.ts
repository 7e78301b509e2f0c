/** What this package uses of the tape of TensorFlow.js's engine: fields and methods that its types leave out. */
import * as tf from "@tensorflow/tfjs";

/** One operation, as the engine of tfjs 4 records it. */
export interface TapeNode {
  readonly id: number;
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  /** Owned by the node: whoever runs the gradients disposes of them. */
  readonly saved?: readonly tf.Tensor[];
  readonly gradient?: (dys: readonly (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

export interface TapeEngine {
  readonly backend: tf.KernelBackend;
  readonly state: {
    activeTape: TapeNode[] | null;
    nextTapeNodeId: number;
    readonly gradientDepth: number;
    /** Above 0 nothing is recorded. */
    kernelDepth: number;
    readonly activeScope: { readonly id: number };
  };
  startTape(): void;
  endTape(): void;
  isTapeOn(): boolean;
  makeTensorFromTensorInfo(info: tf.TensorInfo): tf.Tensor;
}

export const tapeEngine = () => tf.engine() as unknown as TapeEngine;
