/**
 * pnpm bench image-methods [--steps 800] [--seeds 0,1,2] [--methods mae,cmae] [--engine NAME] [--out DIR]
 *
 * Pretrains every image method on the same 10,000 digits of MNIST for as many updates of 64, with the same small encoder
 * where it is a transformer, then measures its features on 4,000 test digits: kNN and logistic regression on the labels of
 * 1,000 digits, beside its own encoder before training, raw pixels and MAE. Teachers are trained first, for as long, and
 * handed over as saved models: a supervised ViT, an MAE, a denoising auto-encoder. Each method runs in a process of its
 * own. Finished ones stand in DIR (default runs/image-methods) and are not repeated.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { formatSpread, type Method, spread } from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import { modality } from "@unmask/image";
import type { Job, Measured } from "./workers/image-method.js";

const { values: args } = parseArgs({
  options: {
    steps: { type: "string", default: "800" },
    seeds: { type: "string", default: "0,1,2" },
    methods: { type: "string" },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/image-methods" },
  },
});
const seeds = args.seeds.split(",").map(Number);
const worker = fileURLToPath(new URL("./workers/image-method.ts", import.meta.url));

/** Which of the models trained here takes a role. */
const TEACHERS: Readonly<Record<string, string>> = {
  teacher: "vit",
  contrastive: "vit",
  mae: "mae",
  prior: "conv-dae",
};

const pretraining = modality.methods.filter((method) => !("logits" in method));
const wanted = args.methods?.split(",") ?? pretraining.map(({ id }) => id);
const methods = wanted.map((id) => {
  const method = modality.methods.find((each) => each.id === id);
  if (method === undefined)
    throw new Error(`--methods ${id}: use some of ${pretraining.map((each) => each.id).join(", ")}`);
  return method;
});

const results = new Map<string, Measured[]>();
for (const seed of seeds) {
  await once("raw pixels", undefined, seed);
  if (!wanted.includes("mae")) await once("mae", modality.methods[0], seed);
  for (const method of methods) await once(method.id, method, seed);
}
printTable();

/** One method and seed after the teachers that it needs. */
async function once(name: string, method: Method | undefined, seed: number): Promise<void> {
  const measured = await trained(method, seed);
  results.set(name, [...(results.get(name) ?? []), measured]);
  const { trained: after, untrained, processorSeconds } = measured;
  const before = untrained === undefined ? "" : `, untrained ${percent(untrained.probe)}`;
  console.log(
    `seed ${seed}  ${name.padEnd(20)} probe ${percent(after.probe)}${before}  ${processorSeconds.toFixed(0)} s`,
  );
}

async function trained(method: Method | undefined, seed: number): Promise<Measured> {
  const folder = (id: string) => join(args.out, args.steps, `${id}-${seed}`);
  const out = folder(method?.id ?? "raw");
  const file = join(out, "measured.json");
  if (existsSync(file)) return JSON.parse(await readFile(file, "utf8")) as Measured;
  const teachers: Record<string, string> = {};
  for (const role of Object.keys(method?.teachers ?? {})) {
    const id = TEACHERS[role];
    if (id === undefined)
      throw new Error(`${method!.id}: this benchmark trains no teacher for the role ${role}`);
    await trained(modality.methods.find((each) => each.id === id)!, seed);
    teachers[role] = join(folder(id), "model");
  }
  await mkdir(out, { recursive: true });
  const job: Job = {
    method: method?.id,
    seed,
    steps: Number(args.steps),
    engine: args.engine,
    out: join(out, "model"),
    teachers,
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...process.execArgv, worker, JSON.stringify(job)],
    { maxBuffer: 2 ** 26 },
  );
  const measured = JSON.parse(stdout.trim().split("\n").at(-1)!) as Measured;
  await writeFileAtomic(file, JSON.stringify(measured));
  return measured;
}

/** Accuracies in per cent, mean and deviation over the seeds; differences are of the probe. */
function printTable(): void {
  const mae = results.get("mae")!.map(({ trained: { probe } }) => probe);
  const rows = [...results].map(([name, runs]) => {
    const over = (value: (run: Measured) => number | undefined) => {
      const values = runs.flatMap((run) => value(run) ?? []);
      return values.length === 0 ? "" : formatSpread(spread(values)).replace(/ \(.*/, "");
    };
    const mean = (value: (run: Measured) => number) =>
      (runs.reduce((sum, run) => sum + value(run), 0) / runs.length).toFixed(0);
    const gain = (values: readonly number[]) => {
      const { mean: difference } = spread(values);
      return `${difference < 0 ? "" : "+"}${(100 * difference).toFixed(1)}`;
    };
    const pretrained = runs.every(({ untrained }) => untrained !== undefined);
    return [
      name,
      over((run) => run.trained.knn),
      over((run) => run.trained.probe),
      over((run) => run.untrained?.probe),
      pretrained ? gain(runs.map(({ trained: after, untrained }) => after.probe - untrained!.probe)) : "",
      name === "mae" ? "" : gain(runs.map(({ trained: { probe } }, i) => probe - mae[i]!)),
      ...(pretrained ? [mean((run) => run.seconds), mean((run) => run.processorSeconds)] : ["", ""]),
      mean((run) => run.peakMebibytes),
    ];
  });
  const head = [
    ...["", "kNN", "probe", "untrained probe", "over untrained", "over MAE"],
    ...["seconds", "processor seconds", "peak MiB"],
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  console.log([line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n"));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
