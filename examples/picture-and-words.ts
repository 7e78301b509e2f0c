// A model of one's own, of two modalities that no paper put together: pictures, and words for them letter by letter.
// things.jsonl holds lines such as {"picture": "pictures/red-bars.png", "words": {"text": "red bars"}}.
import { createModel, pretrain, retrievalOfPairs, startEngine, subset } from "@unmask/core";
import { alignedSamples, composeMethod } from "@unmask/multimodal";

const pictureAndWords = composeMethod({
  id: "picture-and-words",
  modalities: {
    picture: { size: [32, 32], patch: [8, 8], channels: 3, maskRatio: 0.5 },
    words: { size: [16], patch: [1], channels: 27, maskRatio: 0.2 }, // 16 letters, each one of 27
  },
  encoder: { fusion: "separate", width: 64, depth: 2, heads: 4 },
  decoder: { kind: "shared", width: 32, depth: 1, heads: 4 },
  contrast: { temperature: 0.1, width: 64 },
});

await startEngine();
const things = alignedSamples("things.jsonl", { shapes: pictureAndWords.shapes, augment: "none" });
const fifths = (of: (fifth: number) => boolean) =>
  subset(
    things,
    [...Array(things.length).keys()].filter((i) => of(i % 5)),
  );
const train = fifths((fifth) => fifth > 0);
const held = await fifths((fifth) => fifth === 0).take(things.length);

const model = createModel(pictureAndWords, {}, { seed: 1 });
for await (const event of pretrain(model, train, { epochs: 40, batchSize: 32, lr: 2e-3 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const side = async (name: string) =>
  (await pictureAndWords.embed(model.params, held, name).data()) as Float32Array;
const { forward } = await retrievalOfPairs(await side("picture"), await side("words"), 64, { k: [1, 5] });
console.log(`words of ${held.length} new pictures: first ${forward.recall[1]}, chance ${1 / held.length}`);
