// Text-guided masking on drawn clips of a coloured square, with what an image-text model such as CLIP would say of them:
// how well each patch fits the caption, and the caption's vector. The clip must find its caption among the batch's.
import { createDataset, createModel, createRandom, pretrain, startEngine } from "@unmask/core";
import { type GuidedSample, textGuidedVideoMae } from "@unmask/video";

await startEngine();
const random = createRandom(1);
const captions = [0, 1, 2].map(() => random.normals(8)); // of a red, a green and a blue square
const clips = Array.from({ length: 96 }, (_, i): GuidedSample => {
  const [y, x, colour] = [random.int(4), random.int(4), i % 3];
  const pixels = Float32Array.from({ length: 4 * 16 * 16 * 3 }, (_, at) => {
    const [row, column] = [Math.floor(at / 192) % 4, Math.floor(at / 12) % 4]; // of patches of 4 x 4
    const shine = at % 3 === colour ? (row === y && column === x ? 0.7 : 0.1) : 0; // on what is around it too
    return 0.2 + shine + 0.02 * random.normal();
  });
  const scores = Float32Array.from({ length: 4 * 16 }, (_, at) => Number(at % 16 === 4 * y + x));
  return {
    ...{ pixels, frames: 4, height: 16, width: 16, channels: 3 },
    ...{ scores, scoreGrid: [4, 4], text: captions[colour]! },
  };
});
const train = createDataset({ name: "clips", length: clips.length, get: async (i) => clips[i]! });

const model = createModel(
  textGuidedVideoMae,
  {
    ...{ frames: 4, imageSize: 16, patchSize: 4, textWidth: 8, noise: 0.5 }, // half by score, half at random
    ...{ width: 32, depth: 2, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 4 },
  },
  { seed: 7 },
);
for await (const event of pretrain(model, train, { epochs: 15, batchSize: 24, lr: 3e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss, event.terms);
