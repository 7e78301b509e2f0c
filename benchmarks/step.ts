/**
 * pnpm bench step [--config image224,image32,base,graph-mae] [--rounds 12] [--peers eager,compile] [--threads N] [--engine native] [--profile]
 *
 * Time of one MAE pretraining step (forward, backward, AdamW) here and in PyTorch, in alternation: every round runs one
 * step of each. All start from the same parameters and see the same images and masks, so their losses must agree.
 * PEERS_PYTHON names a Python that has torch; without it only this library is timed. Prints medians, the ratio, peak
 * memory, and the rate in GFLOP/s beside that of bare multiply-adds measured on the spot. Our process runs the built
 * packages (built first where they are not). Peers: eager and compile (PyTorch), jax, tensorflow (tfjs-node), wasm.
 * --profile adds what each function of the native engine takes of a step, and what is left between them.
 * graph-mae is an epoch of GraphMAE on Cora, of UNMASK_DATA, beside plain PyTorch; `pnpm bench graph --peer` has larger graphs.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startEngine } from "@unmask/core";
import {
  buildPackages,
  inFolder,
  inTurns,
  median,
  type Spent,
  startRunner,
  type Timed,
} from "./workers/alternate.js";
import { timeGraphMae } from "./workers/graph-nodes.js";
import { type MaeStep, operations, transformer, writeMaeStep } from "./workers/mae-steps.js";

const settings: Record<string, MaeStep> = {
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
const GRAPH = "graph-mae";

const { values: args } = parseArgs({
  options: {
    config: { type: "string", default: "image224,image32" },
    rounds: { type: "string", default: "12" },
    peers: { type: "string", default: "eager,compile" },
    threads: { type: "string", default: String(availableParallelism()) },
    engine: { type: "string", default: "native" },
    profile: { type: "boolean", default: false },
  },
});
const python = process.env.PEERS_PYTHON;

async function compare(name: string): Promise<void> {
  const setting = settings[name];
  if (setting === undefined)
    throw new Error(`bench step: no configuration ${name}; one of ${[...Object.keys(settings), GRAPH]}`);
  await inFolder(async (folder) => {
    const inputs = join(folder, "inputs.safetensors");
    await writeMaeStep(inputs, setting, Number(args.threads));
    const peers = python === undefined || args.peers === "" ? [] : args.peers.split(",");
    const script = (at: string) => fileURLToPath(new URL(at, import.meta.url));
    const ours = (engine: string) =>
      startRunner(engine, process.execPath, [
        ...[script("./workers/mae-step.mjs"), inputs, engine, args.threads],
      ]);
    const first = ours(args.engine);
    const others = peers.map((peer) => {
      if (peer === "tensorflow" || peer === "wasm") return ours(peer);
      if (peer === "jax") return startRunner("JAX jit", python!, [script("./peers/mae_step_jax.py"), inputs]);
      return startRunner(`PyTorch ${peer}`, python!, [script("./peers/mae_step.py"), inputs, peer]);
    });
    let rate = 0;
    let profile: readonly Spent[] = [];
    const runs = await inTurns([first, ...others], Number(args.rounds), async () => {
      rate = await first.rate();
      if (args.profile) profile = await first.profile();
    });
    report(name, setting, rate, runs);
    reportProfile(profile);
  });
}

function report(name: string, setting: MaeStep, rate: number, runs: readonly Timed[]): void {
  const [ours] = runs as [Timed, ...Timed[]];
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

/** Parts of a step from the longest to those of half a percent. */
function reportProfile([step, ...parts]: readonly Spent[]): void {
  if (step === undefined) return;
  const inside = parts.reduce((sum, { ms }) => sum + ms, 0);
  const line = ({ name, calls, ms, operations }: Spent) =>
    [
      name.padEnd(40),
      `${calls.toFixed(0)} calls`.padStart(10),
      `${ms.toFixed(1)} ms`.padStart(9),
      `${((100 * ms) / step.ms).toFixed(1)} %`.padStart(7),
      operations > 0 ? `${(operations / ms / 1e6).toFixed(0)} GFLOP/s`.padStart(12) : "",
    ].join("  ");
  console.log(`\na step of ${step.ms.toFixed(0)} ms, mean of 12:`);
  const between = { name: "JavaScript between them", calls: 1, ms: step.ms - inside, operations: 0 };
  const shown = [...parts].sort((a, b) => b.ms - a.ms).filter(({ ms }) => ms > step.ms / 200);
  for (const part of [...shown, between]) console.log(line(part));
}

/** Steps of GraphMAE in turns with PyTorch's. */
async function compareGraphs(): Promise<void> {
  const data = process.env.UNMASK_DATA;
  if (data === undefined) throw new Error("bench step: set UNMASK_DATA to the folder that holds graphs/");
  if (python === undefined) throw new Error("bench step: PEERS_PYTHON names no Python that has torch");
  const { threads = 1 } = await startEngine(args.engine as Parameters<typeof startEngine>[0], {
    threads: Number(args.threads),
  });
  console.log(`\n${GRAPH}: ${threads} threads`);
  timeGraphMae("cora", { data: join(data, "graphs"), threads, rawWords: false });
}

buildPackages();
for (const name of args.config.split(","))
  if (name === GRAPH) await compareGraphs();
  else await compare(name);
