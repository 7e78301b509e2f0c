// Methods of clips with captions on drawn clips of a coloured square that moves some way: which clip a caption is of, masks by
// what a caption speaks of, and questions about clips.
import {
  createDataset,
  createModel,
  createRandom,
  finetune,
  type Model,
  pretrain,
  startEngine,
} from "@unmask/core";
import {
  type AlignedSample,
  captionGuidedMae,
  createSmaugAnswers,
  dualEncoder,
  embedSmaug,
  learnVocabulary,
  simvtp,
  smaug,
} from "@unmask/multimodal";

await startEngine();
const random = createRandom(1);
const colours = { red: [1, 0, 0], green: [0, 1, 0], blue: [0, 0, 1] };
const ways = { left: [0, -1], right: [0, 1], up: [-1, 0], down: [1, 0] };
const kinds = Object.keys(colours).flatMap((colour) => Object.keys(ways).map((way) => ({ colour, way })));
const draw = (i: number): AlignedSample => {
  const { colour, way } = kinds[i % kinds.length]!;
  const [rgb, [dy, dx]] = [colours[colour as "red"], ways[way as "up"] as [number, number]];
  const [y, x] = [4 + random.int(5), 4 + random.int(5)];
  const values = Float32Array.from({ length: 4 * 16 * 16 * 3 }, (_, at) => {
    const [t, row, column] = [Math.floor(at / 768), Math.floor(at / 48) % 16, Math.floor(at / 3) % 16];
    const on = Math.abs(row - y - 2 * t * dy) < 3 && Math.abs(column - x - 2 * t * dx) < 3;
    return (on ? rgb[at % 3]! : 0.2) + 0.02 * random.normal();
  });
  const text = `a ${colour} square moves ${way}`;
  return { parts: { video: { values, shape: [4, 16, 16, 3] } }, texts: { text } };
};
const setOf = (name: string, samples: AlignedSample[], labels?: Int32Array, classes?: string[]) =>
  createDataset({ name, length: samples.length, get: async (i) => samples[i]!, labels, classes });
const samples = Array.from({ length: 96 }, (_, i) => draw(i));
const clips = setOf("clips", samples);
const learn = async (model: Model, epochs: number) => {
  const losses: number[] = [];
  for await (const event of pretrain(model, clips, { epochs, batchSize: 24, lr: 2e-3 }))
    if (event.type === "epoch") losses.push(event.loss);
  console.log(`${model.method.id}: loss ${losses[0]} to ${losses.at(-1)}`);
};

const vocabulary = learnVocabulary(samples.map(({ texts }) => texts!.text!));
const words = { vocabulary, textLength: 8, textPositions: 8 };
const network = { width: 32, depth: 2, heads: 4 };
const decoder = { decoderWidth: 32, decoderDepth: 1, decoderHeads: 4 };
const cubes = { video: { size: [4, 16, 16], patch: [2, 4, 4] } } as const;
const frames = { video: { size: [4, 16, 16], patch: [4, 4] } } as const;

await learn(
  createModel(simvtp, { ...words, ...network, ...decoder, ...cubes, videoMaskRatio: 0.75 }, { seed: 7 }),
  10,
);

const guide = createModel(
  dualEncoder,
  { ...words, ...network, ...frames, textDepth: 1, projection: 16 },
  { seed: 7 },
);
await learn(guide, 20);
const guided = createModel(
  captionGuidedMae,
  { ...network, ...decoder, ...cubes, textWidth: 16 },
  { seed: 7, teachers: { guide: guide as Model } },
);
await learn(guided, 10);

const reader = createModel(
  smaug,
  { ...words, ...network, ...decoder, ...frames, textDepth: 1, fusionDepth: 1, pruneAt: [2], projection: 16 },
  { seed: 7 },
);
await learn(reader, 30);
const held = kinds.map((_, i) => draw(i));
const rows = (part: "video" | "text") => embedSmaug(reader.params, reader.config, held, part);
const nearest = rows("text").matMul(rows("video"), false, true).argMax(1).dataSync();
const right = kinds.filter(({ colour }, i) => kinds[nearest[i]!]!.colour === colour).length;
console.log(`a clip of the caption's colour first ${right / kinds.length}, chance ${1 / 3}`);

const answers = Object.keys(colours);
const asked = (name: string, all: AlignedSample[]) => {
  const labels = Int32Array.from(all, (_, i) => answers.indexOf(kinds[i % kinds.length]!.colour));
  const questions = all.map((one, i) => ({
    ...one,
    texts: { text: "what colour moves" },
    label: labels[i]!,
  }));
  return setOf(name, questions, labels, answers);
};
const answering = createSmaugAnswers(reader as Model, { classes: 3 }, createRandom(1));
const questions = [asked("questions", samples), asked("new questions", held)] as const;
for await (const event of finetune(answering, ...questions, {
  epochs: 10,
  batchSize: 24,
  lr: 2e-3,
  evaluateEvery: 10,
}))
  if (event.type === "evaluation") console.log(`questions answered rightly ${event.scores.top1}`);
