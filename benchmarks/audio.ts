/**
 * pnpm bench audio --data DIR [--part learning|speed|hour] [--set takes|speakers|esc10] [--seeds 0,1,2] [--epochs 200] [--finetune] [--engine NAME] [--out DIR]
 *
 * learning: pretrains an AudioMAE on recordings without their labels, then measures its features on others: logistic
 *   regression and kNN on the mean over time of each frequency's tokens, beside a random encoder and the mean and deviation
 *   of each mel band; with --finetune also the accuracy of the whole network trained on the labels, from either encoder. DIR
 *   holds the wav files of the free spoken digit dataset, named {digit}_{speaker}_{take}.wav, and takes 0-4 are measured on
 *   (the data set's own test split), or two speakers never heard; or, as esc10, the folders of ESC-10, and two folds of five.
 *   What was trained and measured stands in --out (default runs/audio), is continued when interrupted and not done again.
 * speed: reads the recordings of DIR from disk to spectrograms and prints how long that takes beside the training step of
 *   a model of that input, for two sizes of model.
 * hour: streams an hour of sound (made of DIR's recordings) to spectrograms and through an encoder, as wav and by FFmpeg,
 *   and prints the memory as it goes.
 */
import { copyFile, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type AudioSample,
  audioFolder,
  audioMae,
  encodeWav,
  spectrogramClips,
  streamAudio,
} from "@unmask/audio";
import { createModel, createRandom, type Dataset, pretrain, startEngine } from "@unmask/core";
import { learning } from "./audio/learning.js";

const { values: args } = parseArgs({
  options: {
    part: { type: "string", default: "learning" },
    set: { type: "string", default: "takes" },
    data: { type: "string" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string", default: "200" },
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
  case "learning":
    await learning({
      ...{ data, set: args.set, out: args.out, finetune: args.finetune, epochs: Number(args.epochs) },
      seeds: args.seeds.split(",").map(Number),
    });
    break;
  case "speed":
    await speed();
    break;
  case "hour":
    await hour();
    break;
  default:
    throw new Error(`pnpm bench audio: --part is learning, speed or hour, got ${args.part}`);
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
