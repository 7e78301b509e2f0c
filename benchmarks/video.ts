/**
 * pnpm bench video --data DIR [--part actions|speed|long] [--seeds 0,1,2] [--epochs 200] [--characters 100] [--finetune] [--engine NAME] [--out DIR]
 *
 * actions: DIR holds the sheets of the Universal LPC spritesheet. Pretrains VideoMAE on clips of animated characters without
 *   labels and measures its features on five actions of characters never seen: logistic regression and kNN, beside a
 *   random encoder and raw pixels; with --finetune also the accuracy of the whole network trained on the labels, from either
 *   encoder. What was trained and measured stands in --out (default runs/video), is continued when interrupted and not
 *   done again.
 * speed: decodes clips of the videos in DIR and prints how many a second that gives beside the training step of two models.
 * long: writes a video of ten minutes, reads it whole in clips and prints the memory as it goes; needs no --data.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createModel, createRandom, disposeAll, type Model, pretrain, startEngine } from "@unmask/core";
import { type VideoSample, videoFiles, videoFolder, videoMae } from "@unmask/video";
import { makeVideo } from "../packages/video/test/make-video.js";
import { actions } from "./video/actions.js";

const { values: args } = parseArgs({
  options: {
    part: { type: "string", default: "actions" },
    data: { type: "string", default: "" },
    seeds: { type: "string", default: "0,1,2" },
    epochs: { type: "string", default: "200" },
    characters: { type: "string", default: "100" },
    finetune: { type: "boolean", default: false },
    engine: { type: "string", default: "auto" },
    out: { type: "string", default: "runs/video" },
  },
});
if (args.data === "" && args.part !== "long")
  throw new Error("pnpm bench video: give a folder as --data DIR");
const engine = await startEngine(args.engine as Parameters<typeof startEngine>[0]);
console.log(`engine ${engine.name}`);
switch (args.part) {
  case "actions":
    await actions({
      ...{ data: args.data, out: args.out, finetune: args.finetune },
      ...{ epochs: Number(args.epochs), characters: Number(args.characters) },
      seeds: args.seeds.split(",").map(Number),
    });
    break;
  case "speed":
    await speed();
    break;
  case "long":
    await long();
    break;
  default:
    throw new Error(`pnpm bench video: --part is actions, speed or long, got ${args.part}`);
}
process.exit(0); // decoding threads may be idle still

/** Clips decoded and clips trained on, a second, each measured alone. */
async function speed(): Promise<void> {
  const models = {
    "16 frames of 112, 192 x 4 blocks": { imageSize: 112, width: 192, depth: 4, heads: 3, decoderWidth: 96 },
    "16 frames of 224, preset tiny": { imageSize: 224, width: 192, depth: 12, heads: 3, decoderWidth: 96 },
  };
  for (const [name, sizes] of Object.entries(models)) {
    const model = createModel(videoMae, { ...sizes, decoderDepth: 2, decoderHeads: 3 });
    const clips = videoFolder(args.data, { size: sizes.imageSize, clipsPerVideo: 8 });
    const batch = 8;
    const read = (from: number) =>
      Promise.all(
        Array.from({ length: batch }, (_, i) => clips.get((from + i) % clips.length, createRandom(from + i))),
      );
    await read(0); // threads start
    const begun = performance.now();
    const rounds = 3;
    let samples: VideoSample[] = [];
    for (let round = 1; round <= rounds; round++) samples = await read(round * batch);
    const decoded = (rounds * batch) / ((performance.now() - begun) / 1000);

    const dataset = { ...videoFiles(["samples"]), length: batch, get: async (i: number) => samples[i]! };
    const times: number[] = [];
    let last = performance.now();
    for await (const event of pretrain(model as Model<object, VideoSample>, dataset, {
      epochs: 3,
      batchSize: batch,
    }))
      if (event.type === "step") {
        times.push(performance.now() - last);
        last = performance.now();
      }
    const trained = batch / (Math.min(...times) / 1000);
    disposeAll(model.params);
    console.log(
      `${name}: ${decoded.toFixed(1)} clips decoded a second, ${trained.toFixed(1)} trained on, ratio ${(decoded / trained).toFixed(1)}`,
    );
  }
}

async function long(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "unmask-long-"));
  try {
    const mib = () => Math.round(process.memoryUsage().rss / 2 ** 20);
    for (const minutes of [1, 10]) {
      const file = join(folder, `${minutes}.mp4`);
      makeVideo(file, {
        ...{ frames: minutes * 60 * 25, height: 120, width: 160, keyEvery: 125 },
        level: (frame, y, x) => (frame + x + y) % 256,
      });
      const clips = videoFiles([file], { size: 112, clipsPerVideo: minutes * 15 });
      let most = 0;
      let frames = 0;
      const begun = performance.now();
      for (let i = 0; i < clips.length; i++) {
        frames += (await clips.get(i)).frames;
        most = Math.max(most, mib());
      }
      const seconds = (performance.now() - begun) / 1000;
      console.log(
        `${minutes} min of 160x120: ${clips.length} clips of 16 frames (${frames} frames) in ${seconds.toFixed(1)} s, at most ${most} MiB resident`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
