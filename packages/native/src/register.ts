/** Registers the backend "native" with tfjs. */
import * as tf from "@tensorflow/tfjs";
import { addon } from "./addon.js";
import { createBackend, type NativeBackend } from "./backend.js";
import { kernels } from "./kernels/index.js";
import type { Call, NativeKernel } from "./kernels/kernel.js";

export const BACKEND = "native";
type CpuKernel = (call: Call) => tf.TensorInfo | tf.TensorInfo[];

/**
 * Makes the backend "native" known to TensorFlow.js; `tf.setBackend("native")` starts it. Calling it again does
 * nothing. Throws where there is no compiled addon for this machine.
 */
export function register(): void {
  addon();
  if (tf.engine().registryFactory[BACKEND] !== undefined) return;
  const inherited = new Map(tf.getKernelsForBackend("cpu").map((kernel) => [kernel.kernelName, kernel]));
  for (const [name, kernel] of inherited) {
    const run = guarded(kernel.kernelFunc as unknown as CpuKernel);
    add(name, kernels[name] === undefined ? run : withFallback(kernels[name], run), kernel);
  }
  for (const [name, kernel] of Object.entries(kernels))
    if (!inherited.has(name)) add(name, (call) => settled(kernel, call) ?? unsupported(name));
  tf.registerBackend(BACKEND, createBackend, 2);
}

function add(name: string, run: CpuKernel, like?: tf.KernelConfig): void {
  tf.registerKernel({
    ...like,
    kernelName: name,
    backendName: BACKEND,
    kernelFunc: run as unknown as tf.KernelFunc,
  });
}

const withFallback =
  (kernel: NativeKernel, fallback: CpuKernel): CpuKernel =>
  (call) =>
    settled(kernel, call) ?? fallback(call);

const settled = (kernel: NativeKernel, call: Call) => call.backend.settled(() => kernel(call));

function unsupported(name: string): never {
  throw new Error(`${name}: the native engine got inputs of a type that this operation does not take`);
}

/**
 * A kernel of tfjs reads the arrays of its inputs and may return views of them (slice does). Where it did not, the
 * inputs' memory stays reusable.
 */
function guarded(kernel: CpuKernel): CpuKernel {
  return (call) => {
    const { backend } = call;
    const inputs = Object.values(call.inputs).flatMap((input) =>
      input === undefined || input === null || input.dataId === undefined
        ? []
        : [backend.stored(input.dataId)],
    );
    const hidden = inputs.filter((stored) => stored.hidden);
    const result = kernel(call);
    if (hidden.length === 0) return result;
    for (const stored of hidden) if (!aliased(backend, stored, result)) stored.exposed = false;
    return result;
  };
}

type Stored = ReturnType<NativeBackend["stored"]>;

function aliased(backend: NativeBackend, input: Stored, result: tf.TensorInfo | tf.TensorInfo[]): boolean {
  const memory = (input.array as Float32Array).buffer;
  return [result].flat().some(({ dataId, dtype }) => {
    if (dtype === "complex64") return true;
    const output = backend.stored(dataId);
    return output !== input && (output.array as Float32Array | undefined)?.buffer === memory;
  });
}
