/**
 * The process of bench encode that runs here: plain JavaScript on the built packages, as a user's would be.
 * node encode.mjs INPUTS.safetensors. Each line on standard input encodes the batch, and the sum of the features and the
 * milliseconds are written as JSON; at the end of input, the peak of the resident memory.
 */
import { createInterface } from "node:readline";
import { createModel, flatten, startEngine, tidy, writeParameters } from "@unmask/core";
import { openSafetensors } from "@unmask/core/node";
import { mae } from "@unmask/image";

const file = await openSafetensors(process.argv[2]);
await startEngine("native", { threads: Number(file.metadata.threads) });
const model = createModel(mae, JSON.parse(file.metadata.config));
for (const path of flatten(model.params).keys()) {
  if (path.includes("decoder")) continue; // not of the encoder
  writeParameters(model.params, new Map([[path, await file.read(path)]]), { strict: false });
}
const { bytes, shape } = await file.read("images");
await file.close();
const [batch, height, width, channels] = shape;
const size = height * width * channels;
const samples = Array.from({ length: batch }, (_, i) => ({
  ...{ pixels: bytes.subarray(i * size, (i + 1) * size), height, width, channels },
}));

for await (const _ of createInterface({ input: process.stdin })) {
  const begin = performance.now();
  const features = tidy(() => model.encode(samples).dataSync());
  const ms = performance.now() - begin;
  console.log(JSON.stringify({ loss: features.reduce((sum, x) => sum + Math.abs(x), 0), ms }));
}
console.log(JSON.stringify({ peak: process.resourceUsage().maxRSS * 1024 }));
