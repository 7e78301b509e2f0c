/**
 * pnpm bench encode [--size small,base] [--batch 32] [--rounds 12] [--threads N] [--peers eager,compile,onnx]
 *
 * Images a second of a frozen ViT with patches of 16 on images of 224 x 224, bytes in and features out, here and in others,
 * in alternation: every round encodes one batch by each. All have the same parameters and see the same bytes, so the sums
 * that they print of their features must agree. PEERS_PYTHON names a Python that has torch and onnx; PEERS_NODE a folder
 * where `npm install onnxruntime-node` was run. Without them their peers are left out. Our process runs the built packages.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createModel, createRandom, flatten, rawTensor, startEngine } from "@unmask/core";
import { writeSafetensors } from "@unmask/core/node";
import { mae } from "@unmask/image";
import { buildPackages, inFolder, inTurns, median, startRunner } from "./workers/alternate.js";

const { values: args } = parseArgs({
  options: {
    size: { type: "string", default: "small,base" },
    batch: { type: "string", default: "32" },
    rounds: { type: "string", default: "12" },
    threads: { type: "string", default: String(availableParallelism()) },
    peers: { type: "string", default: "eager,compile,onnx" },
  },
});
const batch = Number(args.batch);
const script = (at: string) => fileURLToPath(new URL(at, import.meta.url));
const { PEERS_PYTHON: python, PEERS_NODE: node } = process.env;

const compare = (size: string) =>
  inFolder(async (folder) => {
    const inputs = join(folder, "inputs.safetensors");
    await writeInputs(inputs, size);
    const ours = startRunner("@unmask/native", process.execPath, [script("./workers/encode.mjs"), inputs]);
    const others = args.peers.split(",").flatMap((peer) => runnerOf(peer, inputs, folder) ?? []);
    const [first, ...rest] = await inTurns([ours, ...others], Number(args.rounds));
    console.log(`\nViT-${size}/16, batches of ${batch}, ${args.threads} threads, median of ${args.rounds}`);
    for (const run of [first!, ...rest]) {
      const ms = median(run.times);
      const cells = [
        run.label.padEnd(16),
        `${((1000 * batch) / ms).toFixed(1)} images/s`.padStart(16),
        `(${Math.min(...run.times).toFixed(0)} to ${Math.max(...run.times).toFixed(0)} ms)`.padStart(18),
        `peak ${(run.peak / 2 ** 20).toFixed(0)} MiB`.padStart(14),
        `sum ${run.losses[0]!.toFixed(3)}`,
        run === first ? "" : `ours is ${(ms / median(first!.times)).toFixed(2)} times as fast`,
      ];
      console.log(cells.join("  "));
    }
  });

function runnerOf(peer: string, inputs: string, folder: string) {
  if (python === undefined) return left(peer, "PEERS_PYTHON names no Python that has torch");
  const encode = script("./peers/encode.py");
  if (peer !== "onnx") return startRunner(`PyTorch ${peer}`, python, [encode, inputs, peer]);
  if (node === undefined || !existsSync(join(node, "node_modules/onnxruntime-node")))
    return left(peer, "PEERS_NODE names no folder with onnxruntime-node");
  const model = join(folder, "model.onnx");
  execFileSync(python, [encode, inputs, model], { stdio: ["ignore", "ignore", "inherit"] });
  const given = [script("./workers/encode-onnx.mjs"), inputs, model, node];
  return startRunner("onnxruntime-node", process.execPath, given);
}

function left(peer: string, why: string): undefined {
  console.log(`${peer} is left out: ${why}`);
}

async function writeInputs(path: string, size: string): Promise<void> {
  await startEngine("cpu");
  const random = createRandom(7);
  const preset = size as "small" | "base";
  const model = createModel(mae, { preset, imageSize: 224, patchSize: 16 }, { seed: 1 });
  const tensors = new Map(
    [...flatten(model.params)].flatMap(([at, variable]) =>
      at.includes("decoder") ? [] : [[at, rawTensor(variable.dataSync() as Float32Array, variable.shape)]],
    ) as [string, ReturnType<typeof rawTensor>][],
  );
  const pixels = Uint8Array.from(random.uniforms(batch * 224 * 224 * 3), (x) => Math.floor(256 * x));
  tensors.set("images", rawTensor(pixels, [batch, 224, 224, 3]));
  const text = { config: JSON.stringify(model.config), threads: args.threads };
  await writeSafetensors(path, tensors, text);
  model.dispose();
}

buildPackages();
for (const size of args.size.split(",")) await compare(size);
