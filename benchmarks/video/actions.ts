/** What a VideoMAE learns of clips of animated characters without labels, measured on characters never seen. */
import { join } from "node:path";
import {
  createRandom,
  type Dataset,
  finetuneOverSeeds,
  type Method,
  type Model,
  type Random,
} from "@unmask/core";
import {
  clipStatistics,
  createVideoClassifier,
  modality,
  type VideoSample,
  videoFolder,
  videoMae,
} from "@unmask/video";
import { compareEncoders } from "../workers/compare-encoders.js";
import { writeSpriteClips } from "./sprites.js";

export interface ActionOptions {
  readonly data: string;
  readonly seeds: readonly number[];
  readonly epochs: number;
  readonly characters: number;
  readonly finetune: boolean;
  /** Folder of what was trained and measured, which is not done again. */
  readonly out: string;
}

/** Sides of the frames as they are read, at half their size, and of what models see of them. */
const [READ, SEEN] = [36, 32];
const FRAMES = 6;
/** Windows of FRAMES frames read of each clip: the beginning, the end and what is between. */
const WINDOWS = 3;

export async function actions(options: ActionOptions): Promise<void> {
  const { data, seeds, epochs, characters, finetune, out } = options;
  const folders = { train: join(out, `train-${characters}`), test: join(out, "test-60") };
  await writeSpriteClips(data, folders.train, characters, 1);
  await writeSpriteClips(data, folders.test, 60, 2);
  const still = await inMemory(folders.train, 1);
  const varied = crops(await inMemory(folders.train, WINDOWS));
  const [train, test] = [centred(still), centred(await inMemory(folders.test, 1))];
  console.log(`${train.length} clips to train on, ${test.length} of other characters to test`);
  const { mean, std } = await clipStatistics(train);
  const config = {
    ...{ frames: FRAMES, imageSize: SEEN, patchSize: 8, channels: 1, mean, std },
    ...{ width: 96, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
    ...{ maskRatio: 0.75, normalisePixels: false },
  };
  const lines = await compareEncoders<VideoSample>({
    ...{ name: `actions-${characters}`, out, seeds, epochs, method: videoMae as unknown as Method, config },
    ...{ views: varied, train, test, lr: 2e-3, sayEvery: 20 },
    baseline: { title: "raw pixels", key: "raw", features: modality.raw.features },
    ...(finetune && { fineTune: (encoder, seed) => fineTuned(encoder, crops(still), test, seed) }),
  });
  console.log(
    `\nfive actions, ${epochs} epochs of pretraining, % of ${test.length} clips of unseen characters`,
  );
  for (const line of lines) console.log(line);
}

async function fineTuned(
  encoder: Model,
  train: Dataset<VideoSample>,
  test: Dataset<VideoSample>,
  seed: number,
): Promise<number> {
  const classes = train.classes!.length;
  const scores = await finetuneOverSeeds(
    () => createVideoClassifier(encoder, { classes }, createRandom(seed)) as Model<object, VideoSample>,
    train,
    test,
    { seeds: [seed], epochs: 20, batchSize: 32, lr: 1e-3, layerDecay: 0.75, evaluateEvery: 20 },
  );
  return scores.top1;
}

/** Windows of the clips of a folder, whole frames in gray, read once. */
async function inMemory(folder: string, clipsPerVideo: number): Promise<Dataset<VideoSample>> {
  const clips = videoFolder(folder, {
    ...{ frames: FRAMES, size: READ, channels: 1, stride: 1, augment: "none", clipsPerVideo },
  });
  const samples: VideoSample[] = [];
  for (let i = 0; i < clips.length; i += 16) {
    const indices = Array.from({ length: Math.min(16, clips.length - i) }, (_, j) => i + j);
    samples.push(...(await Promise.all(indices.map((index) => clips.get(index)))));
  }
  return { ...clips, get: async (i) => samples[i]!, take: async (count) => samples.slice(0, count) };
}

/** The middle of the frames, always. */
const centred = (set: Dataset<VideoSample>): Dataset<VideoSample> => {
  const middle = (sample: VideoSample) => cut(sample, (READ - SEEN) / 2, (READ - SEEN) / 2, false);
  return {
    ...set,
    get: async (i) => middle(await set.get(i)),
    take: async (count) => (await set.take(count)).map(middle),
  };
};

/** A part anywhere in the frames, mirrored half of the time. */
const crops = (set: Dataset<VideoSample>): Dataset<VideoSample> => ({
  ...set,
  async get(i: number, random?: Random) {
    const sample = await set.get(i);
    if (random === undefined) return cut(sample, (READ - SEEN) / 2, (READ - SEEN) / 2, false);
    const place = () => random.int(READ - SEEN + 1);
    return cut(sample, place(), place(), random.uniform() < 0.5);
  },
});

function cut(sample: VideoSample, top: number, left: number, mirrored: boolean): VideoSample {
  const pixels = new Uint8Array(sample.frames * SEEN * SEEN);
  let at = 0;
  for (let frame = 0; frame < sample.frames; frame++)
    for (let y = 0; y < SEEN; y++) {
      const row = (frame * READ + top + y) * READ + left;
      for (let x = 0; x < SEEN; x++)
        pixels[at++] = sample.pixels[row + (mirrored ? SEEN - 1 - x : x)] as number;
    }
  return { ...sample, pixels, height: SEEN, width: SEEN };
}
