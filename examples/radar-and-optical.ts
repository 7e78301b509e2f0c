// CROMA on drawn places as an optical and a radar image show them: which optical tile a radar tile belongs to.
import {
  createDataset,
  createModel,
  createRandom,
  pretrain,
  retrievalOfPairs,
  startEngine,
} from "@unmask/core";
import { type AlignedSample, croma, cromaProjections } from "@unmask/multimodal";

await startEngine();
const random = createRandom(1);
const draw = (): AlignedSample => {
  const shares = random.uniforms(3); // of water, fields and houses
  const image = (bands: number, seen: (band: number) => number) => ({
    shape: [16, 16, bands],
    values: Float32Array.from({ length: 256 * bands }, (_, i) => seen(i % bands) + 0.1 * random.normal()),
  });
  const [water, fields, houses] = shares as unknown as [number, number, number];
  const optical = image(4, (band) => [0.5 * water, fields, 0.5 * (fields + houses), houses][band]!);
  const radar = image(2, (band) => [houses - water, fields - houses][band]!); // two polarisations
  return { parts: { optical, radar } };
};
const [places, held] = [Array.from({ length: 192 }, draw), Array.from({ length: 16 }, draw)];
const train = createDataset({ name: "places", length: places.length, get: async (i) => places[i]! });

const model = createModel(
  croma,
  {
    ...{
      imageSize: 16,
      patchSize: 4,
      opticalBands: 4,
      radarBands: 2,
      bands: "as-is",
      contrastGradient: "both",
    },
    ...{ width: 32, depth: 2, heads: 4, decoderWidth: 32, decoderHeads: 4 },
  },
  { seed: 7 },
);
for await (const event of pretrain(model, train, { epochs: 30, batchSize: 32, lr: 3e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss, event.terms);

const alone = (name: "optical" | "radar") =>
  model.encode(held.map(({ parts }) => ({ parts: { [name]: parts[name]! } })));
const { optical, radar } = cromaProjections(model.params, alone("optical"), alone("radar"));
const [asked, known] = [await radar.data<"float32">(), await optical.data<"float32">()];
const { forward } = await retrievalOfPairs(asked, known, 32, { k: [1] });
console.log(`own optical tile first ${forward.recall[1]}, chance ${1 / held.length}`);
