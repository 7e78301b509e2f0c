// Tells the legs of tables from their tops: Point-MAE learns the shapes, then points are told apart by what it learned.
import { createDataset, createModel, createRandom, type Model, pretrain, startEngine } from "@unmask/core";
import { createPartSegmenter, type PointSample, partLogits, partScores, pointMae } from "@unmask/pointcloud";

await startEngine();
const random = createRandom(1);
const [LEG, TOP] = [0, 1];
const table = (): PointSample => {
  const parts = Int32Array.from({ length: 128 }, (_, i) => (i < 64 ? LEG : TOP));
  const legs = [-0.5, 0.5].flatMap((x) => [-0.5, 0.5].map((z) => [x, z] as const));
  const points = Float32Array.from(
    [...parts].flatMap((part, i) => {
      const [x, z] = legs[i % 4]!;
      const near = () => 0.06 * random.normal();
      return part === LEG
        ? [x + near(), -random.uniform(), z + near()]
        : [1.4 * (random.uniform() - 0.5), near(), 1.4 * (random.uniform() - 0.5)];
    }),
  );
  return { points, parts, label: 0 };
};
const [seen, held] = [Array.from({ length: 32 }, table), Array.from({ length: 8 }, table)];
const train = createDataset<PointSample>({ name: "tables", length: seen.length, get: async (i) => seen[i]! });

const groups = {
  points: 128,
  groups: 16,
  groupSize: 12,
  embedWidths: [16, 32, 64] as [number, number, number],
};
const sizes = { width: 48, depth: 2, heads: 3, decoderDepth: 1, decoderHeads: 3 };
const encoder = createModel(pointMae, { ...groups, ...sizes }, { seed: 7 });
for await (const event of pretrain(encoder, train, { epochs: 10, batchSize: 8, lr: 1e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const head = { propagationWidths: [32, 32], headWidths: [32, 16], levels: 2, dropPath: 0 };
const segmenter = createPartSegmenter(encoder as Model, { parts: 2, classes: 1, ...head }, createRandom(1));
for await (const event of pretrain(segmenter, train, { epochs: 15, batchSize: 8, lr: 2e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const { params, config } = segmenter;
const found = partLogits(params as never, config as never, held)
  .argMax(2)
  .arraySync() as number[][];
const { meanIou } = partScores(
  found,
  held.map(({ parts }) => parts!),
);
console.log(`mean intersection over union ${meanIou}`);
