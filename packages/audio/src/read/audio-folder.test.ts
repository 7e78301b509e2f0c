import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BadSampleError, createModel, createRandom, pretrain, resume, type TrainEvent } from "@unmask/core";
import { beforeAll, describe, expect, it } from "vitest";
import { spectrogramClips } from "../features/sample-features.js";
import { audioMae } from "../methods/audio-mae.js";
import { energyStatistics } from "../statistics.js";
import { folderEnergyStatistics } from "../statistics-cache.js";
import { audioInfo, readAudio, streamAudio } from "./audio-file.js";
import { audioFiles, audioFolder } from "./audio-folder.js";
import { encodeWav } from "./wav.js";

const fixture = (name: string) => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
const tones = ["tone.flac", "tone.mp3", "tone.ogg", "tone.m4a", "tone-adpcm.wav", "tone.mp4"];
const form = { inputSize: [32, 16] as [number, number], sampleRate: 8000, workers: 0 };

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "unmask-audio-"));
  return () => rmSync(root, { recursive: true });
});

/** A folder of wave files by name, each a tone at a frequency for so many seconds. */
function folder(
  name: string,
  files: Readonly<Record<string, readonly [frequency: number, seconds: number]>>,
) {
  for (const [path, [frequency, seconds]] of Object.entries(files)) {
    const values = Float32Array.from(
      { length: Math.round(8000 * seconds) },
      (_, i) => 0.5 * Math.sin((2 * Math.PI * frequency * i) / 8000),
    );
    mkdirSync(join(root, name, path, ".."), { recursive: true });
    writeFileSync(join(root, name, path), encodeWav({ channels: [values], sampleRate: 8000 }));
  }
  return join(root, name);
}

/** Share of the power of a sound that is at a frequency. */
function powerAt(values: Float32Array, frequency: number, rate: number): number {
  let [re, im, all] = [0, 0, 0];
  values.forEach((value, i) => {
    const angle = (2 * Math.PI * frequency * i) / rate;
    [re, im, all] = [re + value * Math.cos(angle), im + value * Math.sin(angle), all + value * value];
  });
  return (2 * (re * re + im * im)) / (values.length * all);
}

describe("readAudio", () => {
  it.each(tones)("decodes %s: both channels, all of its length", async (name) => {
    const info = await audioInfo(fixture(name));
    expect([info.sampleRate, info.channels]).toEqual([22050, 2]);
    const { channels } = await readAudio(fixture(name));
    expect(channels[0]!.length / 22050).toBeGreaterThan(0.49);
    expect(channels[0]!.length / 22050).toBeLessThan(0.6); // lossy formats pad the end
    expect(powerAt(channels[0]!.subarray(0, 11025), 440, 22050)).toBeGreaterThan(0.95);
    expect(powerAt(channels[1]!.subarray(0, 11025), 880, 22050)).toBeGreaterThan(0.95);
  });

  it.each(["tone.flac", "tone.ogg", "tone.m4a", "tone-adpcm.wav"])(
    "reads a part of %s as it is in the whole",
    async (name) => {
      const [whole, part] = [
        await readAudio(fixture(name)),
        await readAudio(fixture(name), { start: 0.2, duration: 0.1 }),
      ];
      expect(part.channels[0]).toHaveLength(2205);
      part.channels[0]!.forEach((value, i) => {
        expect(value).toBeCloseTo(whole.channels[0]![4410 + i]!, 5);
      });
    },
  );

  it("resamples and mixes as it streams", async () => {
    let length = 0;
    for await (const { channels, sampleRate } of streamAudio(fixture("tone.flac"), {
      sampleRate: 16000,
      channels: 1,
    })) {
      expect([channels.length, sampleRate]).toEqual([1, 16000]);
      expect(powerAt(channels[0]!, 440, 16000)).toBeCloseTo(0.5, 1); // half of it is the other channel's tone
      length += channels[0]!.length;
    }
    expect(length).toBe(8000);
  });
});

describe("audioFolder", () => {
  it("takes sub-folders for classes and gives the same spectrogram each time, padded behind", async () => {
    const recordings = audioFolder(
      folder("classes", { "high/a.wav": [1500, 0.2], "low/b.wav": [200, 1] }),
      form,
    );
    expect(recordings.classes).toEqual(["high", "low"]);
    expect([...recordings.labels!]).toEqual([0, 1]);
    const [high, low] = await recordings.take(2);
    expect([high!.label, low!.label]).toEqual([0, 1]);
    expect([high!.recorded, low!.recorded]).toEqual([18, 32]);
    expect([...high!.values.subarray(18 * 16)].every((value) => value === 0)).toBe(true);
    const loudest = (values: Float32Array) => values.indexOf(Math.max(...values));
    expect(loudest(high!.values.subarray(0, 16))).toBeGreaterThan(loudest(low!.values.subarray(0, 16)));
    expect(await recordings.take(2)).toEqual([high, low]);
  });

  it("repeats a short recording to the end when told to", async () => {
    const path = folder("short", { "a.wav": [1000, 0.1] }); // 100 whole periods
    const [padded] = await audioFolder(path, form).take(1);
    const [filled] = await audioFolder(path, { ...form, fill: "repeat" }).take(1);
    expect([padded!.recorded, filled!.recorded]).toEqual([8, 32]);
    for (const frame of [1, 20, 31])
      expect(filled!.values[frame * 16 + 7]).toBeCloseTo(padded!.values[3 * 16 + 7]!, 1);
  });

  it("draws training views from the generator alone, whether the sound was kept or not", async () => {
    const path = folder("views", { "a.wav": [300, 3], "b.wav": [500, 3] });
    const options = { ...form, mixup: 0.5, timeMask: 8, frequencyMask: 4 };
    const [kept, fresh] = [audioFolder(path, options), audioFolder(path, { ...options, cache: 0 })];
    await kept.take(2);
    for (let seed = 0; seed < 4; seed++)
      expect(await kept.get(0, createRandom(seed))).toEqual(await fresh.get(0, createRandom(seed)));
    expect(await kept.get(0, createRandom(1))).not.toEqual(await kept.get(0, createRandom(2)));
  });

  it("spreads several clips over a long recording", async () => {
    const path = folder("long", { "a.wav": [300, 2] });
    const changing = Float32Array.from({ length: 16000 }, (_, i) =>
      Math.sin(2 * Math.PI * (i < 8000 ? 200 : 2000) * (i / 8000)),
    );
    writeFileSync(join(path, "a.wav"), encodeWav({ channels: [changing], sampleRate: 8000 }));
    const clips = await audioFolder(path, { ...form, clips: 3 }).take(3);
    const loudest = clips.map(({ values }) =>
      values.subarray(0, 16).indexOf(Math.max(...values.subarray(0, 16))),
    );
    expect(loudest[0]).toBeLessThan(loudest[2]!);
    expect(clips).toHaveLength(3);
  });

  it("reads labels from names and tables, several of a file too, and mixes them", async () => {
    const path = folder("flat", { "3_a.wav": [300, 0.3], "7_b.wav": [700, 0.3], "x.wav": [900, 0.3] });
    const digits = audioFolder(path, { ...form, labelPattern: "(\\d)_[^/]*$" });
    expect([digits.classes, [...digits.labels!]]).toEqual([
      ["3", "7"],
      [0, 1, -1],
    ]);
    const table = join(path, "labels.csv");
    writeFileSync(table, 'filename,labels\n3_a.wav,"dog;cat, black"\r\n7_b.wav,dog\n');
    const tags = audioFolder(path, { ...form, labelFile: table, mixup: 1 });
    expect([tags.classes, [...tags.labels!]]).toEqual([
      ["cat, black", "dog"],
      [1, 1, -1],
    ]);
    expect([...(await tags.get(0)).targets!]).toEqual([1, 1]);
    const { targets } = await tags.get(1, createRandom(3));
    expect(targets![1]).toBeGreaterThan(0);
    expect(targets![1]).toBeLessThanOrEqual(1);
    expect(() => audioFolder(path, { ...form, labelPattern: "(z)" })).toThrow("finds no class");
    expect(() => audioFolder(path, { ...form, labelFile: join(path, "none.csv") })).toThrow(
      "cannot read labelFile",
    );
  });

  it("mixes many channels to one, keeps two when asked, and makes two of one", async () => {
    const path = folder("channels", { "one.wav": [300, 0.5] });
    const channels = Array.from({ length: 8 }, (_, c) =>
      createRandom(c)
        .normals(4000)
        .map((v) => 0.1 * v),
    );
    writeFileSync(join(path, "eight.wav"), encodeWav({ channels, sampleRate: 8000 }));
    const mono = await audioFolder(path, form).take(2);
    expect(mono.map((sample) => sample.channels)).toEqual([1, 1]);
    const [, two] = await audioFolder(path, { ...form, channels: 2 }).take(2);
    expect(two!.values).toHaveLength(32 * 16 * 2);
    const [left, right] = [
      two!.values.filter((_, i) => i % 2 === 0),
      two!.values.filter((_, i) => i % 2 === 1),
    ];
    expect(left).toEqual(right);
  });

  it("names a bad file and why: empty, silent video, cut short, other bytes, no samples", async () => {
    const path = folder("bad", { "good.wav": [300, 0.5], "none.wav": [300, 0] });
    writeFileSync(join(path, "empty.wav"), "");
    writeFileSync(join(path, "empty.mp3"), "");
    writeFileSync(join(path, "text.wav"), "not a sound at all, but long enough to look at");
    writeFileSync(join(path, "text.ogg"), "not a sound at all, but long enough to look at");
    writeFileSync(join(path, "cut.mp4"), readFileSync(fixture("tone.mp4")).subarray(0, 3000));
    copyFileSync(fixture("silent.mp4"), join(path, "silent.mp4"));
    const recordings = audioFolder(path, form);
    const reasons = new Map<string, string>();
    for (let i = 0; i < recordings.length; i++)
      await recordings.get(i).catch((error: unknown) => {
        expect(error).toBeInstanceOf(BadSampleError);
        reasons.set((error as BadSampleError).sample, (error as BadSampleError).reason);
      });
    expect(Object.fromEntries(reasons)).toEqual({
      "none.wav": "the file holds no sound",
      "empty.wav": "the file is empty",
      "empty.mp3": "the file is empty",
      "text.wav": 'wav: expected RIFF ... WAVE, the file begins with "not "',
      "text.ogg": "it is no sound file, or its beginning is damaged",
      "cut.mp4": "it is no sound file, or its beginning is damaged",
      "silent.mp4": "it has no sound",
    });
    expect(await energyStatistics(recordings)).toMatchObject({ recordings: 1, skipped: 7 });
    expect(() => audioFolder(join(root, "nowhere"))).toThrow("cannot read");
    mkdirSync(join(root, "texts"), { recursive: true });
    writeFileSync(join(root, "texts", "a.txt"), "");
    expect(() => audioFolder(join(root, "texts"))).toThrow("holds no recording; found 1 .txt");
  });
});

describe("threads", () => {
  it("give the samples that the asking thread makes, of one recording for two channels too, and the same reasons", async () => {
    const path = folder("threads", { "a.wav": [300, 3], "b.wav": [500, 0.1] });
    copyFileSync(fixture("tone.ogg"), join(path, "c.ogg"));
    writeFileSync(join(path, "d.wav"), "not a sound at all, but long enough to look at");
    const options = { ...form, channels: 2, mixup: 0.5, timeMask: 8 };
    const [here, there] = [0, 2].map((workers) => audioFolder(path, { ...options, workers }));
    for (const random of [undefined, createRandom(1)])
      for (const i of [0, 1, 2])
        expect(await there!.get(i, random?.child(i))).toEqual(await here!.get(i, random?.child(i)));
    await expect(there!.get(3)).rejects.toThrow(BadSampleError);
    await expect(there!.get(3)).rejects.toThrow("d.wav: wav: expected RIFF ... WAVE");
    rmSync(join(path, "a.wav"));
    await expect(audioFiles([join(path, "a.wav")], { ...form, workers: 2 }).get(0)).rejects.toThrow(
      BadSampleError,
    );
  });

  it("resume to the bit", async () => {
    const path = folder("resumed", { "a.wav": [300, 3], "b.wav": [500, 1], "c.wav": [700, 0.1] });
    const sizes = { width: 8, depth: 1, heads: 2, decoderWidth: 8, decoderDepth: 1, decoderHeads: 2 };
    const create = () =>
      createModel(audioMae, { ...sizes, inputSize: form.inputSize, patchSize: 8, sampleRate: 8000 });
    const recordings = () => audioFolder(path, { ...form, clips: 2, mixup: 0.5, workers: 2, cache: 0 });
    const train = async (events: AsyncIterable<TrainEvent>, until = Number.POSITIVE_INFINITY) => {
      const losses: number[] = [];
      for await (const event of events) {
        if (event.type === "step") losses.push(event.loss);
        if (losses.length === until) break;
      }
      return losses;
    };
    const settings = { epochs: 4, batchSize: 2, checkpointEvery: { epochs: 1 }, lr: 1e-3, seed: 3 };
    const whole = await train(pretrain(create(), recordings(), { ...settings, out: join(root, "whole") }));
    const begun = await train(pretrain(create(), recordings(), { ...settings, out: join(root, "begun") }), 7);
    const run = await resume(join(root, "begun"), { methods: [audioMae], dataset: recordings() });
    const rest = await train(run.events);
    expect(whole).toHaveLength(12);
    expect(begun).toEqual(whole.slice(0, 7));
    expect(rest.length).toBeGreaterThan(4);
    expect(rest).toEqual(whole.slice(-rest.length));
  });
});

it("measures recorded frames only, once for a folder that does not change", async () => {
  const path = folder("measured", { "a.wav": [300, 0.2], "b.wav": [800, 0.5] });
  const recordings = audioFolder(path, form);
  const samples = await recordings.take(2);
  const values = samples.flatMap(({ values, recorded }) => [...values.subarray(0, recorded! * 16)]);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const cacheDirectory = join(path, ".cache");
  let measured = 0;
  const measure = () =>
    folderEnergyStatistics(recordings, {
      cacheDirectory,
      onProgress: () => {
        measured++;
      },
    });
  const first = await measure();
  expect(first.mean).toBeCloseTo(mean, 6);
  expect(first.std).toBeCloseTo(
    Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length),
    6,
  );
  expect(await measure()).toEqual(first);
  expect(measured).toBe(1);
});

it("streams a recording as clips that together are its spectrogram", async () => {
  const path = folder("streamed", { "a.wav": [300, 1.3] });
  const noise = createRandom(1)
    .normals(10400)
    .map((value) => 0.1 * value);
  writeFileSync(join(path, "a.wav"), encodeWav({ channels: [noise], sampleRate: 8000 }));
  const complete = {
    channels: 1,
    frameLength: 25,
    frameShift: 10,
    window: "hanning",
    lowFrequency: 20,
    highFrequency: 0,
    ...form,
  } as const;
  const clips = [];
  for await (const clip of spectrogramClips(streamAudio(join(path, "a.wav"), { channels: 1 }), complete))
    clips.push(clip);
  expect(clips.map(({ recorded }) => recorded)).toEqual([32, 32, 32, 32]);
  const [first] = await audioFiles([join(path, "a.wav")], form).take(1);
  clips[0]!.values.forEach((value, i) => {
    expect(value).toBeCloseTo(first!.values[i]!, 3);
  });
});
