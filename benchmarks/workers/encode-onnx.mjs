/** The peer of encode.mjs in onnxruntime-node. node encode-onnx.mjs INPUTS.safetensors MODEL.onnx FOLDER, of its node_modules. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openSafetensors } from "@unmask/core/node";

const [inputs, path, folder] = process.argv.slice(2);
const { InferenceSession, Tensor } = createRequire(join(folder, "package.json"))("onnxruntime-node");
const file = await openSafetensors(inputs);
const { bytes, shape } = await file.read("images");
const threads = Number(file.metadata.threads);
await file.close();
const session = await InferenceSession.create(path, {
  intraOpNumThreads: threads,
  graphOptimizationLevel: "all",
});
const images = new Tensor("uint8", bytes, shape);

for await (const _ of createInterface({ input: process.stdin })) {
  const begin = performance.now();
  const { features } = await session.run({ images });
  const ms = performance.now() - begin;
  console.log(JSON.stringify({ loss: features.data.reduce((sum, x) => sum + Math.abs(x), 0), ms }));
}
console.log(JSON.stringify({ peak: process.resourceUsage().maxRSS * 1024 }));
