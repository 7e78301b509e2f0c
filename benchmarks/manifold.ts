/**
 * pnpm bench manifold [--steps 9000] [--seeds 0,1,2] [--out runs/manifold]
 *
 * The two-dimensional experiment of Alain and Bengio (JMLR 2014, figures 4 and 5) drawn again: a denoising and a contractive
 * auto-encoder learn points near a spiral, the noise made smaller in stages. Prints how well the score they estimate agrees
 * with that of the density (by kernels over the data, which is what the best denoiser of that noise computes), and how near
 * the spiral the samples of Metropolis-Hastings stay; writes the field of (r(x) - x) and the samples as SVG.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import {
  createDataset,
  createModel,
  createRandom,
  formatSpread,
  metropolis,
  pretrain,
  regularisedAutoEncoder,
  score,
  spread,
  startEngine,
} from "@unmask/core";

const { values: args } = parseArgs({
  options: {
    steps: { type: "string", default: "9000" },
    seeds: { type: "string", default: "0,1,2" },
    out: { type: "string", default: "runs/manifold" },
  },
});
const POINTS = 4000;
const STAGES = [0.3, 0.15, 0.08];
const WIDTH = 0.02; // of the data about the spiral

/** Distance t along, from the middle to almost two turns. */
const spiral = (t: number): [number, number] => [0.9 * t * Math.sin(11 * t), 0.9 * t * Math.cos(11 * t)];

function sample(seed: number): Float32Array {
  const random = createRandom(seed).child("spiral");
  const noise = random.normals(2 * POINTS);
  const points = new Float32Array(2 * POINTS);
  for (let i = 0; i < POINTS; i++) {
    const [x, y] = spiral(0.25 + 0.75 * random.uniform());
    points[2 * i] = x + WIDTH * noise[2 * i]!;
    points[2 * i + 1] = y + WIDTH * noise[2 * i + 1]!;
  }
  return points;
}

/** What the best denoiser says: the mean of the data, weighed by the noise's density about x, less x, over sigma^2. */
function kernelScore(data: Float32Array, x: number, y: number, sigma: number): [number, number] {
  let [total, sumX, sumY] = [0, 0, 0];
  for (let i = 0; i < data.length; i += 2) {
    const weight = Math.exp(-((data[i]! - x) ** 2 + (data[i + 1]! - y) ** 2) / (2 * sigma ** 2));
    total += weight;
    sumX += weight * data[i]!;
    sumY += weight * data[i + 1]!;
  }
  return [(sumX / total - x) / sigma ** 2, (sumY / total - y) / sigma ** 2];
}

const curve = Array.from({ length: 2000 }, (_, i) => spiral(0.25 + (0.75 * i) / 1999));
const distance = (x: number, y: number) => Math.min(...curve.map(([a, b]) => Math.hypot(a - x, b - y)));

interface Outcome {
  /** Mean cosine between estimated and kernel score, at noisy data. */
  readonly cosine: number;
  /** Mean distance of the samples from the spiral. */
  readonly distance: number;
  readonly accepted: number;
}

async function run(regulariser: "denoising" | "contractive", seed: number): Promise<Outcome> {
  const data = sample(seed);
  const rows = Array.from({ length: POINTS }, (_, i) => data.subarray(2 * i, 2 * i + 2));
  const dataset = createDataset<Float32Array>({ name: "spiral", length: POINTS, get: async (i) => rows[i]! });
  let model = createModel(regularisedAutoEncoder, { hidden: 300, regulariser, sigma: STAGES[0]! }, { seed });
  for (const sigma of STAGES) {
    const stage = createModel(regularisedAutoEncoder, { hidden: 300, regulariser, sigma }, { seed });
    tf.tidy(() => {
      for (const part of ["encoder", "decoder"] as const)
        for (const name of ["weight", "bias"] as const)
          stage.params[part][name]!.assign(model.params[part][name]!);
    });
    model.dispose();
    model = stage;
    const options = { optimizer: "adam", lr: 1e-2, batchSize: 500, weightDecay: 0, seed } as const;
    for await (const _ of pretrain(model, dataset, {
      ...options,
      epochs: Number(args.steps) / STAGES.length / (POINTS / 500),
    }));
  }
  const sigma = STAGES.at(-1)!;
  const random = createRandom(seed).child("measure");
  const places = data.slice(0, 1000).map((value) => value + sigma * random.normal());
  const estimated = tf.tidy(() =>
    score(model.params, model.config, tf.tensor2d(places, [500, 2])).dataSync(),
  );
  let cosine = 0;
  for (let i = 0; i < 500; i++) {
    const truth = kernelScore(data, places[2 * i]!, places[2 * i + 1]!, sigma);
    const guess = [estimated[2 * i]!, estimated[2 * i + 1]!];
    cosine +=
      (truth[0] * guess[0]! + truth[1] * guess[1]!) / (Math.hypot(...truth) * Math.hypot(...guess)) / 500;
  }
  const chains = 200;
  const { states, accepted } = metropolis(
    model.params,
    model.config,
    data.slice(0, 2 * chains),
    { steps: 200, proposal: sigma, pieces: 5 },
    random,
  );
  const last = states.subarray(states.length - 2 * chains);
  let far = 0;
  for (let i = 0; i < chains; i++) far += distance(last[2 * i]!, last[2 * i + 1]!) / chains;
  if (seed === Number(args.seeds.split(",")[0])) await draw(regulariser, data, last, field());
  const outcome = { cosine, distance: far, accepted };
  model.dispose();
  return outcome;

  /** r(x) - x on a grid. */
  function field(): [number, number, number, number][] {
    const side = 29;
    const grid = Float32Array.from({ length: 2 * side * side }, (_, i) => {
      const cell = i >> 1;
      return -1.05 + (2.1 * (i % 2 === 0 ? cell % side : Math.floor(cell / side))) / (side - 1);
    });
    const arrows = tf.tidy(() =>
      tf.mul(score(model.params, model.config, tf.tensor2d(grid, [side * side, 2])), sigma ** 2).dataSync(),
    );
    return Array.from({ length: side * side }, (_, i) => [
      grid[2 * i]!,
      grid[2 * i + 1]!,
      arrows[2 * i]!,
      arrows[2 * i + 1]!,
    ]);
  }
}

async function draw(
  name: string,
  data: Float32Array,
  samples: Float32Array,
  field: readonly (readonly [number, number, number, number])[],
): Promise<void> {
  const at = (value: number) => (300 + 270 * value).toFixed(1);
  const dots = (points: Float32Array, colour: string, radius: number) =>
    Array.from(
      { length: points.length / 2 },
      (_, i) =>
        `<circle cx="${at(points[2 * i]!)}" cy="${at(points[2 * i + 1]!)}" r="${radius}" fill="${colour}"/>`,
    ).join("");
  const arrows = field
    .map(([x, y, dx, dy]) => {
      const length = Math.hypot(dx, dy);
      const scale = Math.min(1, 0.06 / length);
      return `<line x1="${at(x)}" y1="${at(y)}" x2="${at(x + dx * scale)}" y2="${at(y + dy * scale)}" marker-end="url(#a)"/>`;
    })
    .join("");
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 625" width="600" height="625"><defs><marker id="a" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0L6 3L0 6z" fill="#555"/></marker></defs><rect width="100%" height="100%" fill="#fff"/>${dots(data.subarray(0, 3000), "#9bc", 1.3)}<g stroke="#555" stroke-width="0.8">${arrows}</g>${dots(samples, "#d33", 2.2)}<text x="12" y="615" font-family="sans-serif" font-size="12">${name}: data (blue), r(x) - x (long arrows shortened), Metropolis-Hastings samples (red)</text></svg>\n`;
  await mkdir(args.out, { recursive: true });
  await writeFile(join(args.out, `${name}.svg`), svg);
}

await startEngine("auto");
console.log(`${POINTS} points, noise ${STAGES.join(", ")}, ${args.steps} steps`);
for (const regulariser of ["denoising", "contractive"] as const) {
  const outcomes: Outcome[] = [];
  for (const seed of args.seeds.split(",").map(Number)) outcomes.push(await run(regulariser, seed));
  const line = (key: keyof Outcome) => formatSpread(spread(outcomes.map((outcome) => outcome[key])));
  console.log(
    `${regulariser.padEnd(12)} cosine with the kernel score ${line("cosine")}  samples from the spiral ${line("distance")}  accepted ${line("accepted")}`,
  );
}
console.log(`pictures in ${args.out}`);
