/**
 * pnpm bench pointcloud --data DIR [--methods point-mae,point-cmae,mae-3d] [--seeds 0,1,2] [--epochs 30] [--minutes N] [--engine NAME] [--out DIR]
 * pnpm bench pointcloud --kernels [--points 100000]
 *
 * The first pretrains each method on the clouds of DIR (an npz with a JSON list of labels, or files in class folders), those
 * that are scored left out, and measures its features on the labelled ones: accuracy of a linear support vector machine on
 * a held-out third, and of few-shot episodes among it; beside the same encoder at random and raw coordinates. Each seed has a
 * split, weights and masks of its own. Runs stand in --out (default runs/pointcloud); finished ones are not repeated, and
 * --minutes stops after so many, to be continued by the next call.
 * The second times farthest point sampling and nearest neighbours of many points. PEERS_PYTHON names a Python with numpy,
 * scipy and torch; without it only this library is timed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  createModel,
  createRandom,
  type Dataset,
  type EpochEvent,
  encodeNpy,
  extractFeatures,
  type Features,
  fewShot,
  formatSpread,
  linearSvm,
  type Method,
  type Model,
  rawTensor,
  resolveConfig,
  spread,
  startEngine,
  stratifiedSplit,
  subset,
} from "@unmask/core";
import { farthestPoints, modality, type PointSample, pointTree } from "@unmask/pointcloud";
import { keptScores, type Scores } from "./workers/kept-scores.js";
import { pretrained } from "./workers/pretrained.js";

const { values: args } = parseArgs({
  options: {
    data: { type: "string" },
    methods: { type: "string", default: "point-mae,point-cmae,mae-3d" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string", default: "30" },
    minutes: { type: "string", default: "10000" },
    out: { type: "string", default: "runs/pointcloud" },
    engine: { type: "string", default: "auto" },
    kernels: { type: "boolean", default: false },
    points: { type: "string", default: "100000" },
  },
});

const transformer = {
  points: 512,
  groups: 32,
  groupSize: 16,
  embedWidths: [32, 64, 128],
  width: 96,
  depth: 4,
  heads: 4,
  decoderDepth: 2,
  decoderHeads: 4,
  dropPath: 0,
} as const;

const configs: Readonly<Record<string, object>> = {
  "point-mae": transformer,
  "point-cmae": transformer,
  "mae-3d": {
    points: 512,
    patches: 32,
    patchSize: 16,
    neighbours: 8,
    edgeWidths: [32, 32, 64],
    width: 128,
    depth: 2,
    decoderDepth: 2,
    heads: 4,
    headWidth: 32,
    hiddenWidth: 256,
    foldingWidth: 64,
  },
};

const training = { batchSize: 32, lr: 1e-3, warmupEpochs: 2, clip: 10 };

if (args.kernels) timeKernels(Number(args.points));
else await compareMethods();

async function compareMethods(): Promise<void> {
  if (args.data === undefined) throw new Error("--data: give a folder of labelled point clouds");
  const { data } = args;
  const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
  const seeds = args.seeds.split(",").map(Number);
  const epochs = Number(args.epochs);
  console.log(`engine ${engine.name}, ${engine.threads} threads; ${epochs} epochs, seeds ${seeds}`);
  const signal = AbortSignal.timeout(Number(args.minutes) * 60_000);
  const table = new Map<string, number[]>();
  const note = (row: string, scores: Scores | undefined) => {
    for (const [what, value] of Object.entries(scores ?? {})) {
      const name = `${row.padEnd(28)} ${what}`;
      table.set(name, [...(table.get(name) ?? []), value]);
    }
  };
  const methods = args.methods.split(",");
  for (const seed of seeds)
    for (const id of methods) {
      const method: Method | undefined = modality.methods.find((one) => one.id === id);
      const config = configs[id];
      if (method === undefined || config === undefined) throw new Error(`--methods: there is no ${id}`);
      const whole = open(data, method, resolveConfig(method, config));
      const { labelled, held } = splitOf(whole, seed);
      const scored = new Set(held);
      const others = subset(
        whole,
        [...Array(whole.length).keys()].filter((i) => !scored.has(i)),
      );
      const measure = async (source: Parameters<typeof extractFeatures<PointSample>>[0]) => {
        const [train, test] = [
          await extractFeatures(source, subset(whole, labelled), { batchSize: 64 }),
          await extractFeatures(source, subset(whole, held), { batchSize: 64 }),
        ];
        return scoresOf(train, test, seed);
      };
      if (id === methods[0])
        note(
          "raw coordinates",
          await keptScores(args.out, `raw-${seed}`, () => measure(modality.raw.features)),
        );
      const untrained = async () => {
        const model: Model = createModel(method, config, { seed });
        const scores = await measure(model);
        model.dispose();
        return scores;
      };
      note(`${id}, random encoder`, await keptScores(args.out, `${id}-random-${seed}`, untrained));
      const run = `${id}-${epochs}-${seed}`;
      const trained = async () => {
        const onEpoch = ({ epoch, loss, seconds }: EpochEvent) => {
          if (epoch % 10 === 0)
            console.log(`${run}: epoch ${epoch}, loss ${loss.toFixed(4)}, ${seconds.toFixed(0)} s`);
        };
        const options = { ...training, epochs, seed, signal, onEpoch, out: join(args.out, run) };
        const model = await pretrained(method, config, others, options);
        const scores = model && (await measure(model));
        model?.dispose();
        return scores;
      };
      note(`${id}, pretrained`, await keptScores(args.out, run, trained));
    }
  console.log(`\n% of the scored clouds, mean and deviation over seeds ${seeds.join(", ")}`);
  for (const [row, values] of table) console.log(`${row.padEnd(44)} ${formatSpread(spread(values))}`);
}

function open(path: string, method: Method, config: object): Dataset<PointSample> {
  return modality.open(path, { method, config, data: { augment: "scale-translate" } });
}

/** Two thirds of each class to fit the support vector machine, one third to score. */
function splitOf(whole: Dataset<PointSample>, seed: number): { labelled: number[]; held: number[] } {
  const known = [...(whole.labels ?? [])].flatMap((label, i) => (label >= 0 ? [i] : []));
  const labels = Int32Array.from(known, (i) => whole.labels![i]!);
  const { train, held } = stratifiedSplit(labels, 1 / 3, createRandom(seed).child("split"));
  return { labelled: [...train].map((i) => known[i]!), held: [...held].map((i) => known[i]!) };
}

function scoresOf(train: Features, test: Features, seed: number): Scores {
  const shots = (ways: number, m: number) =>
    fewShot(test, { ways, shots: m, queries: 10, episodes: 20, seed });
  return {
    "linear SVM": linearSvm(train, test, { C: 0.01 }).top1,
    "5-way 2-shot": shots(5, 2).top1.mean,
    "5-way 5-shot": shots(5, 5).top1.mean,
  };
}

/** FPS to 1024 centres, the 32 nearest points of each, and of every point. */
function timeKernels(count: number): void {
  const points = createRandom(1).normals(count * 3);
  const timed = <T>(body: () => T): [T, number] => {
    const times: number[] = [];
    let result: T | undefined;
    for (let round = 0; round < 3; round++) {
      const began = performance.now();
      result = body();
      times.push(performance.now() - began);
    }
    return [result as T, Math.min(...times)];
  };
  const [centres, fps] = timed(() => farthestPoints(points, 1024));
  const queries = Float32Array.from([...centres].flatMap((i) => [...points.subarray(3 * i, 3 * i + 3)]));
  const [tree, build] = timed(() => pointTree(points));
  const [near, few] = timed(() => tree.nearest(queries, 32));
  const [all, every] = timed(() => tree.nearest(points, 32));
  const megabytes = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const ours = { fps, build, few, every, megabytes, checks: [sum(centres), sum(near), sum(all)] };
  print("@unmask/pointcloud, one thread", ours);
  const python = process.env.PEERS_PYTHON;
  if (python === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "unmask-points-"));
  try {
    const file = join(folder, "points.npy");
    writeFileSync(file, encodeNpy(rawTensor(points, [count, 3])));
    const script = fileURLToPath(new URL("./peers/points.py", import.meta.url));
    const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...env } = process.env;
    const { stdout, stderr, status } = spawnSync(python, [script, file], { encoding: "utf8", env });
    if (status !== 0) throw new Error(stderr);
    const peers = JSON.parse(stdout) as typeof ours;
    print("torch (FPS) and scipy cKDTree, one thread", peers);
    console.log(`same indices: ${ours.checks.map((value, i) => value === peers.checks[i]).join(", ")}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sum(values: Int32Array): number {
  return values.reduce((total, value) => total + value, 0);
}

function print(
  name: string,
  times: { fps: number; build: number; few: number; every: number; megabytes: number },
): void {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  console.log(
    `${name}: FPS to 1024 ${ms(times.fps)}; tree ${ms(times.build)}; 32 nearest of 1024 ${ms(times.few)}, of all ${ms(times.every)}; ${times.megabytes} MB in all`,
  );
}
