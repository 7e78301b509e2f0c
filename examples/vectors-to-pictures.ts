// MindEye on made-up brain activity: which picture a vector belongs to, by an embedding, and a small picture made of it.
import {
  createDataset,
  createModel,
  createRandom,
  pretrain,
  retrievalOfPairs,
  startEngine,
} from "@unmask/core";
import { type AlignedSample, mindEye, mindEyeLowLevel } from "@unmask/multimodal";

await startEngine();
const random = createRandom(1);
const mixing = random.normals(64 * 192); // how 192 pixels reach 64 voxels
const draw = (): AlignedSample => {
  const [sky, ground] = [random.uniforms(3), random.uniforms(3)];
  const horizon = 2 + random.int(5);
  const picture = Float32Array.from({ length: 192 }, (_, i) => (i < 24 * horizon ? sky : ground)[i % 3]!);
  const voxels = Float32Array.from({ length: 64 }, (_, v) => {
    const sum = picture.reduce((total, pixel, i) => total + pixel * mixing[v * 192 + i]!, 0);
    return 0.1 * sum + 0.1 * random.normal();
  });
  const embedding = Float32Array.from(
    { length: 16 },
    (_, i) => [...sky, ...ground][i % 6]! - 0.5 + 0.1 * horizon * (i % 2),
  );
  return {
    parts: {
      voxels: { values: voxels, shape: [64] },
      embedding: { values: embedding, shape: [1, 16] }, // as an image encoder gives it
      picture: { values: picture, shape: [8, 8, 3] },
    },
  };
};
const [seen, held] = [Array.from({ length: 256 }, draw), Array.from({ length: 16 }, draw)];
const train = createDataset({ name: "volumes", length: seen.length, get: async (i) => seen[i]! });

const network = { voxels: 64, hidden: 128, blocks: 1, dropout: 0.1, blockDropout: 0.1 };
const prior = { projectorWidth: 32, priorDepth: 1, priorHeads: 2, priorSteps: 20 };
const model = createModel(mindEye, { ...network, tokens: 1, tokenWidth: 16, ...prior }, { seed: 7 });
for await (const event of pretrain(model, train, { epochs: 30, batchSize: 32, lr: 5e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);
const found = (await model.encode(held).data()) as Float32Array;
const wanted = Float32Array.from(held.flatMap(({ parts }) => [...parts.embedding!.values]));
const { forward } = await retrievalOfPairs(found, wanted, 16, { k: [1] });
console.log(`own picture first ${forward.recall[1]}, chance ${1 / held.length}`);

const low = createModel(
  mindEyeLowLevel,
  { ...network, imageSize: 8, channels: 3, mapChannels: 16, doublings: 1 },
  { seed: 7 },
);
for await (const event of pretrain(low, train, { epochs: 30, batchSize: 32, lr: 5e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);
const { picture } = low.reconstruct(held, createRandom(1)).parts;
const error = (of: "combined" | "masked") =>
  picture![of].sub(picture!.original).square().mean().dataSync()[0]!;
console.log(`squared error of new pictures ${error("combined")}, of gray ones ${error("masked")}`);
