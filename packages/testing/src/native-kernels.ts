/** What the native engine computes itself, and what it leaves to tfjs's CPU kernels, as Markdown. */
import * as tf from "@tensorflow/tfjs";
import { kernels } from "../../native/src/kernels/index.js";

/** Two paragraphs: TensorFlow.js's kernels and core's own that are native, and the kernels that are not. */
export function nativeKernels(): string {
  const native = Object.keys(kernels).sort();
  const ours = native.filter((name) => name.startsWith("Unmask"));
  const replaced = native.filter((name) => !ours.includes(name));
  const left = tf
    .getKernelsForBackend("cpu")
    .map(({ kernelName }) => kernelName)
    .filter((name) => kernels[name] === undefined)
    .sort();
  const all = (title: string, names: readonly string[]) => `${title} (${names.length}): ${names.join(", ")}.`;
  return [
    all("Kernels of TensorFlow.js that are native", replaced),
    all("Operations of Unmask that are native", ours),
    all("Left to tfjs-backend-cpu", left),
  ].join("\n\n");
}
