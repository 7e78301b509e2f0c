/**
 * pnpm bench audio --data DIR [--part digits|speed|hour] [--split takes|speakers] [--seeds 0,1,2] [--epochs 60] [--finetune] [--engine NAME] [--out DIR]
 *
 * digits: pretrains an AudioMAE on spoken digits (DIR holds the wav files of the free spoken digit dataset, named
 *   {digit}_{speaker}_{take}.wav) without their labels, then measures its features on others: on takes 0-4 of the same
 *   speakers (the data set's own test split), or on two speakers never heard (theo and yweweler): logistic regression and kNN on the mean over time of each frequency's tokens, beside a random encoder and
 *   the mean and deviation of each mel band; with --finetune also the accuracy of the whole network trained on the labels.
 * speed: reads the recordings of DIR from disk to spectrograms and prints how long that takes beside the training step of
 *   a model of that input, for two sizes of model.
 * hour: streams an hour of sound (made of DIR's recordings) to spectrograms and through an encoder, as wav and by FFmpeg,
 *   and prints the memory as it goes.
 * Runs of `digits` stand in --out (default runs/audio) and are continued when interrupted.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type AudioSample,
  audioFolder,
  audioMae,
  createAudioClassifier,
  encodeWav,
  energyStatistics,
  modality,
  spectrogramClips,
  streamAudio,
} from "@unmask/audio";
import {
  type ConfigInput,
  createModel,
  createRandom,
  type Dataset,
  extractFeatures,
  type FeatureFunction,
  finetuneOverSeeds,
  formatSpread,
  knn,
  logisticRegression,
  type Model,
  pretrain,
  resume,
  spread,
  startEngine,
  subset,
} from "@unmask/core";

const { values: args } = parseArgs({
  options: {
    part: { type: "string", default: "digits" },
    split: { type: "string", default: "takes" },
    data: { type: "string" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string", default: "60" },
    finetune: { type: "boolean", default: false },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/audio" },
  },
});
if (args.data === undefined) throw new Error("pnpm bench audio: give a folder of recordings as --data DIR");
const data = args.data;
const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}`);
switch (args.part) {
  case "digits":
    await digits();
    break;
  case "speed":
    await speed();
    break;
  case "hour":
    await hour();
    break;
  default:
    throw new Error(`pnpm bench audio: --part is digits, speed or hour, got ${args.part}`);
}

type AudioModel = Model<object, AudioSample>;

async function digits(): Promise<void> {
  const form = { inputSize: [64, 64] as [number, number], sampleRate: 8000 };
  const labelled = { ...form, fill: "repeat" as const, labelPattern: "(\\d)_[^/]*$" };
  // what training hears is rolled, scaled and mixed with other recordings; what is measured is not
  const varied = audioFolder(data, { ...labelled, augment: "roll", mixup: 0.5 });
  const still = audioFolder(data, { ...labelled, augment: "none" });
  const isTest = (name: string) => {
    const [, speaker, take] = /_([^_/]+)_(\d+)\.wav$/.exec(name) ?? [];
    return args.split === "speakers" ? ["theo", "yweweler"].includes(speaker!) : Number(take) < 5;
  };
  const places = Array.from({ length: still.length }, (_, i) => i);
  const [train, unlabelled] = [still, varied].map((set) =>
    subset(
      set,
      places.filter((i) => !isTest(still.nameOf(i))),
    ),
  ) as [Dataset<AudioSample>, Dataset<AudioSample>];
  const test = subset(
    still,
    places.filter((i) => isTest(still.nameOf(i))),
  );
  console.log(`${train.length} recordings to train on, ${test.length} to test`);
  const { mean, std } = await energyStatistics(train);
  const config: ConfigInput<typeof audioMae> = {
    ...form,
    ...{ patchSize: 8, width: 128, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
    ...{ maskRatio: 0.75, positions: "aligned", mean, std },
  };

  const results: Record<string, number[]> = {};
  const record = (name: string, value: number) => {
    results[name] ??= [];
    results[name].push(value);
    console.log(`${name}: ${(100 * value).toFixed(2)}`);
  };
  const measure = async (name: string, features: FeatureFunction<AudioSample>) => {
    const [seen, unseen] = [await extractFeatures(features, train), await extractFeatures(features, test)];
    record(`${name}: logistic regression`, (await logisticRegression(seen, unseen)).top1);
    record(`${name}: kNN`, (await knn(seen, unseen, { k: 5 })).top1);
  };
  await measure("mel statistics", modality.raw.features);
  for (const seed of args.seeds.split(",").map(Number)) {
    const out = join(args.out, `digits-${args.split}-${seed}`);
    const model = await pretrained(config, unlabelled, seed, out);
    const random = createModel(audioMae, config, { seed: seed + 1000 });
    await measure("pretrained", (samples) => model.encode(samples));
    await measure("random encoder", (samples) => random.encode(samples));
    if (args.finetune)
      for (const [name, encoder] of [
        ["fine-tuned", model],
        ["from scratch", random],
      ] as const) {
        const settings = { classes: 10, loss: "ce", smoothing: 0.1, timeDrop: 0.1, frequencyDrop: 0.1 };
        const scores = await finetuneOverSeeds(
          () => createAudioClassifier(encoder as Model, settings, createRandom(seed)) as AudioModel,
          train,
          test,
          { seeds: [seed], epochs: 20, batchSize: 32, lr: 1e-3, layerDecay: 0.75, evaluateEvery: 20 },
        );
        record(name, scores.top1);
      }
    for (const each of [model, random]) each.dispose();
  }
  console.log(
    `\nspoken digits, split by ${args.split}, ${args.epochs} epochs of pretraining, % of ${test.length} test recordings`,
  );
  for (const [name, values] of Object.entries(results))
    console.log(`${name.padEnd(40)} ${formatSpread(spread(values), { digits: 2 })}`);
}

async function pretrained(
  config: ConfigInput<typeof audioMae>,
  train: Dataset<AudioSample>,
  seed: number,
  out: string,
): Promise<AudioModel> {
  const follow = async (events: AsyncIterable<{ type: string }>) => {
    for await (const event of events as ReturnType<typeof pretrain>)
      if (event.type === "epoch" && event.epoch % 10 === 0)
        console.log(`seed ${seed} epoch ${event.epoch}: loss ${event.loss.toFixed(4)}`);
  };
  if (existsSync(out)) {
    const resumed = await resume<AudioSample>(out, { methods: [audioMae], dataset: train });
    await follow(resumed.events);
    return resumed.model;
  }
  const model = createModel(audioMae, config, { seed });
  const epochs = Number(args.epochs);
  await follow(
    pretrain(model, train, { epochs, batchSize: 64, lr: 1e-3, warmupEpochs: epochs / 10, seed, out }),
  );
  return model as unknown as AudioModel;
}

async function speed(): Promise<void> {
  const form = { inputSize: [512, 128] as [number, number] };
  const folder = audioFolder(data, { ...form, augment: "roll", cache: 0 });
  const count = Math.min(folder.length, 60);
  const random = createRandom(0);
  await folder.get(0); // loads the decoder
  const samples: AudioSample[] = [];
  const read = async () => {
    for (let i = 0; i < count; i++) samples.push(await folder.get(i, random));
  };
  await read(); // warms up
  const reading = await timed(read);
  const per = ({ wall, cpu }: Timed, of: number) =>
    `${((1000 * wall) / of).toFixed(1)} ms a recording, ${((1000 * cpu) / of).toFixed(1)} ms of processor time`;
  console.log(`decoding and features, one after the other: ${per(reading, count)}`);
  for (const [preset, batchSize] of [
    ["tiny", 16],
    ["base", 4],
  ] as const) {
    const model = createModel(audioMae, { ...form, preset }, { seed: 0 });
    const batch: Dataset<AudioSample> = {
      name: "a batch",
      length: batchSize,
      nameOf: String,
      get: async (i) => samples[i]!,
      take: async (n) => samples.slice(0, n),
    };
    const steps = 4;
    const train = async (epochs: number) => {
      for await (const _ of pretrain(model, batch, { epochs, batchSize }));
    };
    await train(1); // warms up
    const training = await timed(() => train(steps));
    console.log(`${preset}, training: ${per(training, steps * batchSize)}`);
    const ratio = training.cpu / (steps * batchSize) / (reading.cpu / count);
    console.log(
      `${preset}: a step takes ${ratio.toFixed(1)} times the processor time of reading its recordings`,
    );
    model.dispose();
  }
}

async function hour(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "unmask-hour-"));
  try {
    const path = join(folder, "hour.wav");
    await writeHour(path);
    await copyFile(path, join(folder, "hour.mka")); // FFmpeg goes by what is inside
    const config = { preset: "tiny", depth: 2, inputSize: [1024, 128] as [number, number] } as const;
    const model = createModel(audioMae, config, { seed: 0 });
    for (const file of ["hour.wav", "hour.mka"]) {
      let clips = 0;
      const start = performance.now();
      const sound = streamAudio(join(folder, file), { sampleRate: 16000, channels: 1 });
      for await (const sample of spectrogramClips(sound, model.config)) {
        model.encode([sample]).dispose();
        if (++clips % 60 === 0)
          console.log(
            `${file}: ${((clips * 10.24) / 60).toFixed(0)} minutes, ${((performance.now() - start) / 1000).toFixed(0)} s, ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB resident`,
          );
      }
      console.log(
        `${file}: ${clips} clips of 10.24 s in ${((performance.now() - start) / 1000).toFixed(0)} s`,
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** An hour at 16 kHz, 115 MB, written piece by piece. */
async function writeHour(path: string): Promise<void> {
  const seconds = 3600;
  const recordings = audioFolder(data);
  const pieces: Float32Array[] = [];
  for (let i = 0; i < Math.min(10, recordings.length); i++)
    for await (const piece of streamAudio(join(data, recordings.nameOf(i)), {
      channels: 1,
      sampleRate: 16000,
    }))
      pieces.push(piece.channels[0]!);
  const file = await open(path, "w");
  try {
    const header = encodeWav({ channels: [new Float32Array(0)], sampleRate: 16000 });
    const view = new DataView(header.buffer);
    view.setUint32(4, 36 + 2 * 16000 * seconds, true);
    view.setUint32(40, 2 * 16000 * seconds, true);
    await file.write(header);
    let left = 16000 * seconds;
    for (let i = 0; left > 0; i++) {
      const piece = pieces[i % pieces.length]!.subarray(0, left);
      await file.write(encodeWav({ channels: [piece], sampleRate: 16000 }).subarray(44));
      left -= piece.length;
    }
  } finally {
    await file.close();
  }
}

interface Timed {
  /** Seconds. */
  readonly wall: number;
  /** Of all threads. */
  readonly cpu: number;
}

async function timed(body: () => Promise<void>): Promise<Timed> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await body();
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
}
