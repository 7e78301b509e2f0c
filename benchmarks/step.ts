/**
 * pnpm bench step [--config image224,image32] [--rounds 12] [--peers eager,compile] [--threads N] [--engine native]
 *
 * Time of one MAE pretraining step (forward, backward, AdamW) here and in PyTorch, in alternation: every round runs one
 * step of each. All start from the same parameters and see the same images and masks, so their losses must agree.
 * PEERS_PYTHON names a Python that has torch; without it only this library is timed. Prints medians, the ratio, peak
 * memory, and the rate in GFLOP/s beside that of bare multiply-adds measured on the spot. Our process runs the built
 * packages (built first where they are not). Peers: eager and compile (PyTorch), jax, tensorflow (tfjs-node), wasm.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createModel, createRandom, flatten, randomMask, rawTensor, startEngine } from "@unmask/core";
import { writeSafetensors } from "@unmask/core/node";
import { mae } from "@unmask/image";

interface Setting {
  readonly batch: number;
  readonly config: Record<string, number | number[]>;
}

const transformer = (
  width: number,
  depth: number,
  heads: number,
  decoder: readonly [number, number, number],
) => ({
  ...{ width, depth, heads, decoderWidth: decoder[0], decoderDepth: decoder[1], decoderHeads: decoder[2] },
});
const settings: Record<string, Setting> = {
  image224: {
    batch: 32,
    config: { imageSize: [224, 224], patchSize: [16, 16], ...transformer(192, 12, 3, [128, 4, 4]) },
  },
  image32: {
    batch: 128,
    config: { imageSize: [32, 32], patchSize: [4, 4], ...transformer(192, 6, 3, [128, 2, 4]) },
  },
  base: {
    batch: 8,
    config: { imageSize: [224, 224], patchSize: [16, 16], ...transformer(768, 12, 12, [512, 2, 16]) },
  },
};
const MASKS = 4;

const { values: args } = parseArgs({
  options: {
    config: { type: "string", default: "image224,image32" },
    rounds: { type: "string", default: "12" },
    peers: { type: "string", default: "eager,compile" },
    threads: { type: "string", default: String(availableParallelism()) },
    engine: { type: "string", default: "native" },
  },
});

async function compare(name: string): Promise<void> {
  const setting = settings[name];
  if (setting === undefined)
    throw new Error(`bench step: no configuration ${name}; one of ${Object.keys(settings)}`);
  const folder = mkdtempSync(join(tmpdir(), "unmask-bench-"));
  try {
    const inputs = join(folder, "inputs.safetensors");
    await writeInputs(inputs, setting);
    const python = process.env.PEERS_PYTHON;
    const peers = python === undefined || args.peers === "" ? [] : args.peers.split(",");
    const script = (at: string) => fileURLToPath(new URL(at, import.meta.url));
    const ours = (engine: string) =>
      start(engine, process.execPath, [script("./workers/mae-step.mjs"), inputs, engine, args.threads]);
    const runs = [
      ours(args.engine),
      ...peers.map((peer) => {
        if (peer === "tensorflow" || peer === "wasm") return ours(peer);
        if (peer === "jax") return start("JAX jit", python!, [script("./peers/mae_step_jax.py"), inputs]);
        return start(`PyTorch ${peer}`, python!, [script("./peers/mae_step.py"), inputs, peer]);
      }),
    ];
    const rounds = Number(args.rounds);
    const rates = [await runs[0]!.rate()];
    for (let round = 0; round < rounds + 3; round++)
      for (const run of runs) {
        const answer = await run.step();
        if (round < 2) run.losses.push(answer.loss);
        if (round >= 3) run.times.push(answer.ms);
        await new Promise((done) => setTimeout(done, 50)); // the other's threads come to rest
      }
    rates.push(await runs[0]!.rate());
    const rate = Math.max(...rates);
    report(
      name,
      setting,
      rate,
      await Promise.all(runs.map(async (run) => ({ ...run, peak: await run.end() }))),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeInputs(path: string, { batch, config }: Setting): Promise<void> {
  await startEngine("cpu");
  const random = createRandom(7);
  const model = createModel(mae, config, { seed: 1 });
  const [height, width] = model.config.imageSize;
  const tokens = (height / model.config.patchSize[0]) * (width / model.config.patchSize[1]);
  const tensors = new Map(
    [...flatten(model.params)].map(([at, variable]) => [
      `params.${at}`,
      rawTensor(variable.dataSync() as Float32Array, variable.shape),
    ]),
  );
  tensors.set("images", rawTensor(random.normals(batch * height * width * 3), [batch, height, width, 3]));
  for (let i = 0; i < MASKS; i++) {
    const { keep, masked, restore, kept } = randomMask({ batch, tokens, ratio: 0.75 }, random);
    tensors.set(`keep.${i}`, rawTensor(keep, [batch, kept]));
    tensors.set(`masked.${i}`, rawTensor(masked, [batch, tokens - kept]));
    tensors.set(`restore.${i}`, rawTensor(restore, [batch, tokens]));
  }
  const numbers = { config: model.config, threads: Number(args.threads), masks: MASKS };
  const text = Object.fromEntries(
    Object.entries(numbers).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  await writeSafetensors(path, tensors, text);
  model.dispose();
}

interface Answer {
  readonly loss: number;
  readonly ms: number;
  readonly peak: number;
  readonly rate: number;
}

function start(label: string, command: string, commandArgs: readonly string[]) {
  const child: ChildProcessWithoutNullStreams = spawn(command, commandArgs);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`bench step: ${label} ended early`);
    return JSON.parse(value as string) as Answer;
  };
  const times: number[] = [];
  const losses: number[] = [];
  return {
    ...{ label, times, losses },
    step: () => {
      child.stdin.write("step\n");
      return answer();
    },
    /** Operations a second that bare multiply-adds reach; of our own process only. */
    rate: async () => {
      child.stdin.write("rate\n");
      return (await answer()).rate;
    },
    end: async () => {
      child.stdin.end();
      return (await answer()).peak;
    },
  };
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

interface Run {
  readonly label: string;
  readonly times: readonly number[];
  readonly losses: readonly number[];
  readonly peak: number;
}

function report(name: string, setting: Setting, rate: number, runs: readonly Run[]): void {
  const [ours] = runs as [Run, ...Run[]];
  const work = operations(setting);
  console.log(
    `\n${name}: ${(work / 1e9).toFixed(0)} GFLOP a step, ${args.threads} threads, median of ${ours.times.length}`,
  );
  if (rate > 0) {
    const reached = work / (median(ours.times) / 1000);
    console.log(
      `bare multiply-adds here: ${(rate / 1e9).toFixed(0)} GFLOP/s, of which our step reaches ${((100 * reached) / rate).toFixed(0)} %`,
    );
  }
  for (const run of runs) {
    const ms = median(run.times);
    const cells = [
      run.label.padEnd(16),
      `${ms.toFixed(0)} ms`.padStart(8),
      `(${Math.min(...run.times).toFixed(0)} to ${Math.max(...run.times).toFixed(0)})`.padStart(16),
      `${(work / ms / 1e6).toFixed(0)} GFLOP/s`.padStart(12),
      `peak ${(run.peak / 2 ** 20).toFixed(0)} MiB`.padStart(14),
      `loss ${run.losses.map((loss) => loss.toFixed(6)).join(", ")}`,
      run === ours ? "" : `  ours is ${(ms / median(ours.times)).toFixed(2)} times as fast`,
    ];
    console.log(cells.join("  "));
  }
}

/** Multiplications and additions of the matrix products and the attention of one step, forward and backward. */
function operations({ batch, config }: Setting): number {
  const { width, depth, decoderWidth, decoderDepth, imageSize, patchSize } = config as Record<
    string,
    number
  > & {
    imageSize: number[];
    patchSize: number[];
  };
  const tokens = (imageSize[0]! / patchSize[0]!) * (imageSize[1]! / patchSize[1]!);
  const kept = Math.floor(tokens * 0.25);
  const pixels = patchSize[0]! * patchSize[1]! * 3;
  const linear = (rows: number, input: number, output: number, products = 3) =>
    2 * products * rows * input * output;
  const blocks = (count: number, n: number, d: number) =>
    count * (linear(batch * n, d, 12 * d) + batch * n * n * d * 2 * (2 + 5));
  return (
    linear(batch * kept, pixels, width!, 2) +
    blocks(depth!, kept + 1, width!) +
    linear(batch * (kept + 1), width!, decoderWidth!) +
    blocks(decoderDepth!, tokens + 1, decoderWidth!) +
    linear(batch * (tokens - kept), decoderWidth!, pixels)
  );
}

execFileSync(
  "pnpm",
  ["exec", "turbo", "run", "build", "--filter=@unmask/image...", "--filter=@unmask/native"],
  {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdio: ["ignore", "ignore", "inherit"],
  },
);
for (const name of args.config.split(",")) await compare(name);
