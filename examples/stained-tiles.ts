// MultiMAE on tiles of stained tissue and what each stain shows alone: one encoder, a decoder for each, any of them hidden.
import { createDataset, createModel, createRandom, disposeAll, pretrain, startEngine } from "@unmask/core";
import { type AlignedSample, joinStains, multiMae, separateStains, USUAL_STAINS } from "@unmask/multimodal";

await startEngine();
const random = createRandom(1);
const tiles = Array.from({ length: 96 }, (): AlignedSample => {
  const cells = Array.from({ length: 4 }, () => [random.int(32), random.int(32)] as const);
  const amount = (i: number) => {
    const [y, x] = [Math.floor(i / 32), i % 32];
    return cells.some(([cy, cx]) => Math.hypot(y - cy, x - cx) < 4) ? 1.2 : 0.1; // nuclei
  };
  const stain = (of: (i: number) => number) => ({
    values: Float32Array.from({ length: 1024 }, (_, i) => Math.exp(-of(i) - 0.05 * random.uniform())),
    shape: [32, 32, 1],
  });
  const rgb = joinStains(
    { haematoxylin: stain(amount), eosin: stain((i) => 0.9 - 0.5 * amount(i)) },
    USUAL_STAINS,
  );
  return { parts: { rgb, ...separateStains(rgb) } };
});
const train = createDataset({ name: "tiles", length: tiles.length, get: async (i) => tiles[i]! });

const model = createModel(
  multiMae,
  {
    ...{ imageSize: 32, patchSize: 8, modalities: { rgb: 3, haematoxylin: 1, eosin: 1 }, visibleTokens: 16 },
    ...{ outputs: ["rgb", "haematoxylin", "eosin"], concentrations: [8, 1, 1] },
    ...{ width: 32, depth: 2, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 4 },
  },
  { seed: 7 },
);
for await (const event of pretrain(model, train, { epochs: 15, batchSize: 16, lr: 2e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const { parts, note } = model.reconstruct(tiles.slice(0, 2), createRandom(1));
console.log(
  Object.entries(parts).map(([name, { combined }]) => `${name} ${combined.shape}`),
  note,
);
disposeAll(parts);
