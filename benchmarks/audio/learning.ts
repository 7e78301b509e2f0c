/** What an AudioMAE learns of recordings without their labels, and what fine-tuning makes of it. */
import {
  type AudioSample,
  audioFolder,
  audioMae,
  createAudioClassifier,
  energyStatistics,
  modality,
} from "@unmask/audio";
import { createRandom, type Dataset, finetuneOverSeeds, type Method, type Model, subset } from "@unmask/core";
import { compareEncoders } from "../workers/compare-encoders.js";

/** A folder of recordings, split. */
interface Recordings {
  readonly inputSize: readonly [number, number];
  readonly patchSize: readonly [number, number];
  readonly sampleRate: number;
  readonly fill: "zeros" | "repeat";
  /** Sub-folders when absent. */
  readonly labelPattern?: string;
  isTest(name: string): boolean;
}

const spokenDigits: Omit<Recordings, "isTest"> = {
  inputSize: [64, 64],
  patchSize: [8, 8],
  sampleRate: 8000,
  fill: "repeat",
  labelPattern: "(\\d)_[^/]*$",
};

const sets: Readonly<Record<string, Recordings>> = {
  /** {digit}_{speaker}_{take}.wav: the data set's own test split. */
  takes: { ...spokenDigits, isTest: (name) => Number(/_(\d+)\.wav$/.exec(name)?.[1]) < 5 },
  /** The same, of speakers never heard. */
  speakers: { ...spokenDigits, isTest: (name) => /_(theo|yweweler)_\d+\.wav$/.test(name) },
  /** CLASS/{fold}-{...}.ogg: two folds of five to test. */
  esc10: {
    inputSize: [496, 64],
    patchSize: [16, 16],
    sampleRate: 16000,
    fill: "zeros",
    isTest: (name) => /\/[45]-\d+-[^/]*$/.test(name),
  },
};

export interface LearningOptions {
  readonly data: string;
  readonly set: string;
  readonly seeds: readonly number[];
  readonly epochs: number;
  readonly finetune: boolean;
  /** Folder of what was trained and measured, which is not done again. */
  readonly out: string;
}

export async function learning({ data, set, seeds, epochs, finetune, out }: LearningOptions): Promise<void> {
  const recordings = sets[set];
  if (recordings === undefined)
    throw new Error(`pnpm bench audio: --set is ${Object.keys(sets).join(", ")}, got ${set}`);
  const { isTest, patchSize, ...form } = recordings;
  const inputSize: [number, number] = [...form.inputSize];
  const folder = audioFolder(data, { ...form, inputSize, augment: "none" });
  const [train, test] = [await inMemory(folder, (name) => !isTest(name)), await inMemory(folder, isTest)];
  console.log(`${train.length} recordings to train on, ${test.length} to test`);
  const { mean, std } = await energyStatistics(train);
  const config = {
    ...{ inputSize, patchSize: [...patchSize], sampleRate: form.sampleRate, mean, std },
    ...{ width: 128, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
    ...{ maskRatio: 0.75, positions: "aligned", normalisePatches: false },
  };
  const lines = await compareEncoders<AudioSample>({
    ...{ name: set, out, seeds, epochs, method: audioMae as unknown as Method, config },
    ...{ views: rolled(train), train, test, lr: 1e-3, checkpointEvery: { epochs: 10 }, sayEvery: 20 },
    baseline: { title: "mel statistics", key: "mel", features: modality.raw.features },
    ...(finetune && { fineTune: (encoder, seed) => fineTuned(encoder, train, test, seed) }),
  });
  console.log(`\n${set}, ${epochs} epochs of pretraining, % of ${test.length} recordings never trained on`);
  for (const line of lines) console.log(line);
}

async function fineTuned(
  encoder: Model,
  train: Dataset<AudioSample>,
  test: Dataset<AudioSample>,
  seed: number,
): Promise<number> {
  const classes = train.classes!.length;
  const settings = { classes, loss: "ce", smoothing: 0.1, timeDrop: 0.1, frequencyDrop: 0.1 };
  const scores = await finetuneOverSeeds(
    () => createAudioClassifier(encoder, settings, createRandom(seed)) as Model<object, AudioSample>,
    rolled(train),
    test,
    { seeds: [seed], epochs: 40, batchSize: 32, lr: 1e-3, layerDecay: 0.75, evaluateEvery: 40 },
  );
  return scores.top1;
}

/** The recordings of some names, read once. */
async function inMemory(
  folder: Dataset<AudioSample>,
  wanted: (name: string) => boolean,
): Promise<Dataset<AudioSample>> {
  const places = Array.from({ length: folder.length }, (_, i) => i).filter((i) => wanted(folder.nameOf(i)));
  const part = subset(folder, places);
  const samples = await Promise.all(places.map((_, i) => part.get(i)));
  return { ...part, get: async (i) => samples[i]!, take: async (count) => samples.slice(0, count) };
}

/** Training views of spectrograms: rolled in time, louder or softer by up to a half in the logarithm. */
function rolled(set: Dataset<AudioSample>): Dataset<AudioSample> {
  return {
    ...set,
    async get(index, random) {
      const sample = await set.get(index);
      if (random === undefined) return sample;
      const { bands, channels, frames, recorded = frames } = sample;
      const row = bands * channels;
      const by = random.int(recorded);
      const gain = random.uniform() - 0.5;
      const values = sample.values.slice();
      for (let frame = 0; frame < recorded; frame++) {
        const from = ((frame + by) % recorded) * row;
        for (let i = 0; i < row; i++) values[frame * row + i] = sample.values[from + i]! + gain;
      }
      return { ...sample, values };
    },
  };
}
