// Five methods of clips with sound on the same drawn samples: a colour, and a sound whose low, middle and high bands are as
// strong as its red, green and blue. Prints how often a clip's own sound is among the first five of sixteen that were never
// seen, for the methods that give both a common space.
import {
  createDataset,
  createModel,
  createRandom,
  type Model,
  pretrain,
  retrievalOfPairs,
  startEngine,
} from "@unmask/core";
import {
  type AlignedSample,
  avMae,
  embedMavil,
  embedPairwise,
  hicmae,
  mavil,
  mavilFeatures,
  pairwiseContrastMethod,
} from "@unmask/multimodal";

await startEngine();
const random = createRandom(1);
const samples = Array.from({ length: 144 }, (): AlignedSample => {
  const colour = random.uniforms(3);
  const noisy = (value: number) => value + 0.1 * random.normal();
  const video = Float32Array.from({ length: 4 * 16 * 16 * 3 }, (_, i) => noisy(colour[i % 3]!));
  const audio = Float32Array.from({ length: 8 * 12 }, (_, i) => noisy(colour[Math.floor((i % 12) / 4)]!));
  return {
    parts: { video: { values: video, shape: [4, 16, 16, 3] }, audio: { values: audio, shape: [8, 12, 1] } },
  };
});
const [clips, held] = [samples.slice(16), samples.slice(0, 16)];
const train = createDataset({ name: "clips", length: clips.length, get: async (i) => clips[i]! });
const learn = async <M extends Model>(model: M, name: string): Promise<M> => {
  const losses: number[] = [];
  for await (const event of pretrain(model, train, { epochs: 25, batchSize: 32, lr: 3e-3 }))
    if (event.type === "epoch") losses.push(event.loss);
  console.log(`${name}: loss ${losses[0]} to ${losses.at(-1)}`);
  return model;
};

const video = { size: [4, 16, 16], patch: [2, 4, 4], channels: 3 } as const;
const audio = { size: [8, 12], patch: [4, 4] } as const;
const modalities = { video, audio };
const encoder = { modalities, width: 32, depth: 2, heads: 4, hidden: 64 };
const joint = { fusionDepth: 1, decoderWidth: 32, decoderDepth: 1, decoderHeads: 4, decoderHidden: 64 };
const projector = { projectorHidden: 32, projectorWidth: 16 };
await learn(createModel(avMae, { ...encoder, ...joint }, { seed: 7 }), "av-mae");
const clip = { size: video.size, patch: video.patch };
const towers = { width: 32, depth: 2, heads: 4, halfway: [0], fusionDepth: 1, fusionHeads: 4 };
const decoders = { decoderWidth: 32, decoderDepth: 2, decoderHeads: 4 };
await learn(createModel(hicmae, { video: clip, audio, ...towers, ...decoders }, { seed: 7 }), "hicmae");
const teacher = await learn(createModel(mavil, { ...encoder, ...joint, ...projector }, { seed: 7 }), "mavil");
const sizes = { ...encoder, ...joint, ...projector };
const second = createModel(mavilFeatures, sizes, { seed: 8, teachers: { teacher } }); // predicts the first's features
await learn(second, "mavil-features");
const pairs = createModel(pairwiseContrastMethod, { ...encoder, ...projector }, { seed: 7 });
await learn(pairs, "pairwise-contrast");

for (const [name, embed] of Object.entries({
  mavil: (part: string) => embedMavil(teacher.params, teacher.config, held, part),
  "mavil-features": (part: string) => embedMavil(second.params, second.config, held, part),
  "pairwise-contrast": (part: string) => embedPairwise(pairs.params, pairs.config, held, part),
})) {
  const rows = async (part: string) => (await embed(part).data()) as Float32Array;
  const { forward } = await retrievalOfPairs(await rows("video"), await rows("audio"), 16, { k: [5] });
  console.log(`${name}: own sound among five ${forward.recall[5]}, chance ${5 / held.length}`);
}
