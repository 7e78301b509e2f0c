import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import {
  createModel,
  createRandom,
  encodeNpz,
  pretrain,
  rawTensor,
  resume,
  type TrainEvent,
} from "@unmask/core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeVideo } from "../../test/make-video.js";
import { videoMae } from "../methods/video-mae.js";
import { clipStatistics } from "../statistics.js";
import type { ClipRequest } from "./clip.js";
import { decodeClip, videoInfo } from "./decode.js";
import { guidedVideoFolder, videoFiles, videoFolder } from "./video-folder.js";

let root = "";
const path = (name: string) => join(root, name);

/** Frame i has brightness 4 i everywhere, so that a pixel tells which frame it is from. */
const counting = (frame: number) => 4 * frame;

beforeAll(async () => {
  await tf.setBackend("cpu");
  root = mkdtempSync(join(tmpdir(), "unmask-video-"));
  makeVideo(path("counting.mp4"), { frames: 60, level: counting, codec: "libx264", keyEvery: 250 });
});
afterAll(() => rmSync(root, { recursive: true }));

const request = (source: ClipRequest["source"], given: Partial<ClipRequest> = {}): ClipRequest => ({
  ...{ source, frames: 4, timing: { stride: 3, short: "skip" }, starts: [0.5], segment: [0, 1] },
  ...{ size: [24, 32], channels: 1, crop: { kind: "centre" } },
  ...given,
});

/** Which frames of a counting video a clip shows. */
async function framesOf(source: ClipRequest["source"], given: Partial<ClipRequest> = {}): Promise<number[]> {
  const { pixels } = await decodeClip(request(source, given));
  const size = 24 * 32;
  return Array.from({ length: pixels.length / size }, (_, i) => Math.round(pixels[i * size + 400]! / 4));
}

describe("decodeClip", () => {
  it.each([
    ["mp4", "libx264"],
    ["mov", "mpeg4"],
    ["avi", "mpeg4"],
    ["mkv", "mpeg4"],
    ["webm", "libvpx-vp9"],
  ])("takes the asked frames out of %s (%s)", async (extension, codec) => {
    const file = path(`formats.${extension}`);
    makeVideo(file, { frames: 60, level: counting, codec, keyEvery: 10 });
    const { height, width, seconds, rate } = await videoInfo(file);
    expect([height, width, rate]).toEqual([48, 64, 25]);
    expect(seconds).toBeCloseTo(2.4, 1);
    expect(await framesOf(file, { starts: [0] })).toEqual([0, 3, 6, 9]);
    expect(await framesOf(file, { starts: [0.9999] })).toEqual([50, 53, 56, 59]);
    const segment = [0.5, 0.75] as const;
    expect((await framesOf(file, { segment, starts: [0] }))[0]).toBe(25);
  });

  it("reads animated GIFs and folders of frames in the order of their numbers", async () => {
    const still = (level: number) =>
      sharp({ create: { width: 64, height: 48, channels: 3, background: { r: level, g: level, b: level } } });
    mkdirSync(path("frames"));
    const files = Array.from({ length: 12 }, (_, i) => path(`frames/frame-${i}.png`));
    for (const [i, file] of files.entries()) await still(counting(i)).png().toFile(file);
    expect(await framesOf(files, { starts: [0.9999] })).toEqual([2, 5, 8, 11]);
    const listed = videoFolder(path("frames"), { frames: 12, size: [24, 32], channels: 1, workers: 0 });
    const [sample] = await listed.take(1);
    expect(Array.from({ length: 12 }, (_, i) => sample!.pixels[i * 768]! / 4)).toEqual(
      Array.from({ length: 12 }, (_, i) => i),
    );
    const raw = { width: 64, height: 48 * 12, channels: 3, pageHeight: 48 } as const;
    const pages = Buffer.concat(
      await Promise.all(
        files.map((_, i) =>
          still(20 * i)
            .raw()
            .toBuffer(),
        ),
      ),
    );
    await sharp(pages, { raw })
      .gif({ delay: Array(12).fill(40), colours: 64 })
      .toFile(path("counting.gif"));
    const levels = await framesOf(path("counting.gif"), { starts: [0] });
    expect(levels.map((quarter) => Math.round(quarter / 5))).toEqual([0, 3, 6, 9]);
  });

  it("goes by time where the rate changes", async () => {
    // Frames 0-19 at full rate, 20-39 three times as slow: 80 frame times in all.
    makeVideo(path("variable.mp4"), { frames: 40, level: counting, time: (i) => (i < 20 ? i : 3 * i - 40) });
    const { times } = await decodeClip(request(path("variable.mp4")));
    const { seconds } = await videoInfo(path("variable.mp4"));
    const shown = await framesOf(path("variable.mp4"));
    times.forEach((time, k) => {
      const at = time * seconds * 25; // in frame times
      const expected = at < 20 ? at : (at + 40) / 3;
      expect(Math.abs(shown[k]! - expected)).toBeLessThan(1.6);
    });
  });

  it("samples at a rate in frames a second, and more closely where a video is short", async () => {
    const file = path("counting.mp4");
    const timing = { stride: 1, rate: 5, short: "skip" } as const;
    expect(await framesOf(file, { timing, starts: [0] })).toEqual([0, 5, 10, 15]);
    expect(await framesOf(file, { frames: 30, starts: [0] })).toEqual(
      Array.from({ length: 30 }, (_, i) => 2 * i),
    );
  });

  it("begins short videos again only where asked to", async () => {
    makeVideo(path("short.mp4"), { frames: 3, level: counting });
    await expect(framesOf(path("short.mp4"))).rejects.toThrow("has 3 frames where a clip takes 4");
    const timing = { stride: 1, short: "loop" } as const;
    expect(await framesOf(path("short.mp4"), { timing })).toEqual([0, 1, 2, 0]);
  });

  it("turns pictures as the file asks, and keeps their aspect", async () => {
    for (const [turns, corner] of [
      [0, 0],
      [1, 1],
      [2, 3],
      [3, 2],
    ] as const) {
      const file = path(`turned-${turns}.mp4`);
      makeVideo(file, { frames: 4, level: (_, y, x) => (y < 24 && x < 32 ? 255 : 0), turns });
      const { height, width } = await videoInfo(file);
      expect([height, width]).toEqual(turns % 2 === 0 ? [48, 64] : [64, 48]);
      const { pixels } = await decodeClip(request(file, { size: [2, 2] }));
      const brightest = [...pixels.slice(0, 4)].indexOf(Math.max(...pixels.slice(0, 4)));
      expect(brightest, `${turns} turns`).toBe(corner);
    }
  });

  it("spreads clips and crops over the video and its longer side", async () => {
    makeVideo(path("wide.mp4"), { frames: 20, width: 96, level: (i, _, x) => (x < 48 ? 2 * i : 200) });
    const { pixels, views } = await decodeClip(
      request(path("wide.mp4"), { size: [24, 24], starts: [0, 0.9999], crop: { kind: "spread", crops: 3 } }),
    );
    expect(views).toBe(6);
    const at = (view: number, column: number) => pixels[view * 4 * 576 + 12 * 24 + column]!;
    expect(at(0, 4)).toBeLessThan(5);
    expect(Math.abs(at(1, 20) - 200)).toBeLessThan(8);
    expect(Math.abs(at(2, 4) - 200)).toBeLessThan(8);
    expect(Math.abs(at(3, 4) - 2 * 10)).toBeLessThan(5);
  });

  it("seeks: damage before a clip does not matter to it, damage inside does", async () => {
    const file = path("damaged.mp4");
    makeVideo(file, { frames: 250, level: (i, y, x) => (i * 3 + x * y) % 256, keyEvery: 25 });
    const bytes = readFileSync(file);
    const last = request(file, { starts: [0.9999] });
    const whole = await decodeClip(last);
    bytes.fill(0, 8192, Math.floor(bytes.length * 0.3));
    writeFileSync(file, bytes);
    expect((await decodeClip(last)).pixels).toEqual(whole.pixels);
    await expect(framesOf(file, { starts: [0.1] })).rejects.toThrow("damaged");
  });
});

describe("bad files", () => {
  const options = { frames: 4, size: 16, stride: 1, workers: 0 };
  const bad = (name: string) => expect(videoFiles([path(name)], options).get(0)).rejects;

  it("are named with what is wrong", async () => {
    writeFileSync(path("empty.mp4"), "");
    writeFileSync(path("text.mp4"), "no video at all\n".repeat(100));
    await bad("empty.mp4").toThrow("empty.mp4: is no video file");
    await bad("text.mp4").toThrow("is no video file");
    await bad("absent.mp4").toThrow("is no video file");
    copyFileSync(path("counting.mp4"), path("cut.mp4")); // its index stands at the end
    truncateSync(path("cut.mp4"), 700);
    await bad("cut.mp4").toThrow("is no video file, or its beginning is damaged");
    makeVideo(path("cut.mkv"), { frames: 200, level: (i, y, x) => (i * 7 + x * y) % 256 });
    truncateSync(path("cut.mkv"), Math.floor(statSync(path("cut.mkv")).size / 2));
    await expect(framesOf(path("cut.mkv"), { starts: [0.9999] })).rejects.toThrow("cut short");
    const wave = Buffer.alloc(44 + 8000);
    wave.write(
      "RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0",
      "latin1",
    );
    writeFileSync(path("sound.mp4"), wave);
    await bad("sound.mp4").toThrow("has no video stream");
    makeVideo(path("frameless.mp4"), { frames: 0, level: counting });
    await bad("frameless.mp4").toThrow(/frameless.mp4: (is no video|has)/);
  });

  it("fetch nothing that they name", async () => {
    const playlist =
      "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n";
    writeFileSync(path("playlist.mp4"), playlist);
    await bad("playlist.mp4").toThrow("playlist.mp4");
  });
});

describe("videoFolder", () => {
  const options = { frames: 4, size: 16, stride: 1, channels: 1 };

  beforeAll(() => {
    for (const folder of ["set", "set/walk", "set/run"]) mkdirSync(path(folder));
    for (const [i, name] of ["walk/a.mp4", "walk/b.avi", "run/c.mp4"].entries())
      makeVideo(path(`set/${name}`), { frames: 20 + i, level: (f, y, x) => (17 * i + 4 * f + x + y) % 256 });
    writeFileSync(path("set/walk/broken.mp4"), "broken");
    writeFileSync(path("set/notes.txt"), "");
  });

  it("has the classes of its sub-folders, and several samples of each video where asked", async () => {
    const folder = videoFolder(path("set"), { ...options, clipsPerVideo: 2, workers: 0 });
    expect(folder.classes).toEqual(["run", "walk"]);
    expect([...folder.labels!]).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
    expect([0, 1, 2].map(folder.nameOf)).toEqual(["run/c.mp4 #1", "run/c.mp4 #2", "walk/a.mp4 #1"]);
    expect([...folder.ignored]).toEqual([[".txt", 1]]);
    const [first, second] = await folder.take(2);
    expect(second!.pixels).not.toEqual(first!.pixels);
    expect(await folder.take(8)).toHaveLength(6); // the broken one is left out
  });

  it("gives the same clips from threads, and another for each draw", async () => {
    const [here, there] = [0, 2].map((workers) => videoFolder(path("set"), { ...options, workers }));
    for (const random of [undefined, createRandom(1)])
      expect((await there!.get(0, random?.child(0))).pixels).toEqual(
        (await here!.get(0, random?.child(0))).pixels,
      );
    const views = await Promise.all([1, 2, 3].map((seed) => there!.get(0, createRandom(seed))));
    expect(new Set(views.map(({ pixels }) => pixels.join())).size).toBe(3);
    await expect(there!.get(3)).rejects.toThrow("walk/broken.mp4: is no video file");
  });

  it("mirrors all frames of a clip or none", async () => {
    mkdirSync(path("flip"));
    makeVideo(path("flip/a.mp4"), { frames: 6, height: 64, level: (_, __, x) => 3 * x });
    const folder = videoFolder(path("flip"), { ...options, augment: "crop-flip", workers: 0 });
    const rising = new Set<boolean>();
    for (let seed = 0; seed < 8; seed++) {
      const { pixels } = await folder.get(0, createRandom(seed));
      const directions = [0, 1, 2, 3].map((frame) => pixels[frame * 256]! < pixels[frame * 256 + 15]!);
      expect(new Set(directions).size).toBe(1);
      rising.add(directions[0]!);
    }
    expect(rising.size).toBe(2);
  });

  it("measures mean and deviation and counts what cannot be read", async () => {
    const folder = videoFolder(path("set"), { ...options, workers: 0 });
    const { mean, std, clips, skipped } = await clipStatistics(folder);
    expect([clips, skipped]).toEqual([3, 1]);
    const pixels = (await folder.take(3)).flatMap((sample) => [...sample.pixels].map((v) => v / 255));
    const average = pixels.reduce((sum, v) => sum + v, 0) / pixels.length;
    expect(mean[0]).toBeCloseTo(average, 6);
    expect(std[0]).toBeCloseTo(
      Math.sqrt(pixels.reduce((s, v) => s + (v - average) ** 2, 0) / pixels.length),
      6,
    );
  });

  it("resumes to the bit with decoding threads", async () => {
    const sizes = { width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
    const create = () =>
      createModel(videoMae, {
        ...{ ...sizes, frames: 4, imageSize: 16, patchSize: 4, channels: 1, mean: [0.5], std: [0.25] },
      });
    const folder = () => videoFolder(path("set"), { ...options, clipsPerVideo: 3, workers: 2 });
    const train = async (events: AsyncIterable<TrainEvent>, until = Number.POSITIVE_INFINITY) => {
      const losses: number[] = [];
      for await (const event of events) {
        if (event.type === "step") losses.push(event.loss);
        if (losses.length === until) break;
      }
      return losses;
    };
    const settings = { epochs: 4, batchSize: 4, checkpointEvery: { epochs: 1 }, lr: 1e-3, seed: 3 };
    const whole = await train(pretrain(create(), folder(), { ...settings, out: path("whole") }));
    const begun = await train(pretrain(create(), folder(), { ...settings, out: path("begun") }), 7);
    const run = await resume(path("begun"), { methods: [videoMae], dataset: folder() });
    const rest = await train(run.events);
    expect(whole.length).toBe(12);
    expect(begun).toEqual(whole.slice(0, 7));
    expect(rest.length).toBeGreaterThan(4);
    expect(rest).toEqual(whole.slice(-rest.length));
  });
});

describe("guidedVideoFolder", () => {
  it("cuts scores as it cuts the clip", async () => {
    mkdirSync(path("guided"));
    makeVideo(path("guided/a.mp4"), { frames: 8, width: 48, level: counting });
    // Two score frames of 2 x 2 over the video; the second caption's vector is the first's negative.
    const scores = rawTensor(Float32Array.from([0, 1, 2, 3, 10, 11, 12, 13]), [2, 2, 2]);
    const text = rawTensor(Float32Array.from([1, 2, 3, -1, -2, -3]), [2, 3]);
    writeFileSync(
      path("guided/a.mp4.npz"),
      encodeNpz(
        new Map([
          ["scores", scores],
          ["text", text],
        ]),
      ),
    );
    const options = { frames: 4, size: 16, stride: 2, workers: 0, grid: [2, 2] as const };
    const folder = guidedVideoFolder(path("guided"), options);
    const sample = await folder.get(0);
    expect([...sample.scores]).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 10, 11, 12, 13, 10, 11, 12, 13]);
    expect([...sample.text]).toEqual([1, 2, 3]);
    const drawn = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => folder.get(0, createRandom(seed))));
    expect(new Set(drawn.map(({ text }) => text[0]))).toEqual(new Set([1, -1]));
    const mirrored = guidedVideoFolder(path("guided"), { ...options, augment: "crop-flip" });
    const both = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => mirrored.get(0, createRandom(seed))));
    expect(new Set(both.map(({ scores }) => scores[0]! < scores[1]!)).size).toBe(2);
    writeFileSync(path("guided/a.mp4.npz"), "no archive");
    await expect(folder.get(0)).rejects.toThrow("a.mp4: its scores cannot be read");
  });
});
