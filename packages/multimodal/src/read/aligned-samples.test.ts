import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BadSampleError, createRandom, encodeNpy, rawTensor } from "@unmask/core";
import { savePicture } from "@unmask/image";
import { afterAll, beforeAll, expect, it } from "vitest";
import { alignedSamples, labelEmbedding } from "./aligned-samples.js";
import { listSamples } from "./listing.js";
import { loadPeer } from "./peers.js";

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "unmask-aligned-"));
  const pixels = (side: number, value: (y: number, x: number) => number) =>
    Uint8Array.from({ length: side * side * 3 }, (_, i) =>
      value(Math.floor(i / 3 / side), Math.floor(i / 3) % side),
    );
  mkdirSync(join(folder, "pairs", "picture"), { recursive: true });
  mkdirSync(join(folder, "pairs", "depth"));
  for (const [i, name] of ["one", "two"].entries()) {
    const path = join(folder, "pairs", "picture", `${name}.png`);
    await savePicture(path, { pixels: pixels(8, (y, x) => 100 * i + 8 * y + x), height: 8, width: 8 });
  }
  const depth = Float32Array.from({ length: 64 }, (_, i) => Math.floor(i / 8) * 8 + (i % 8));
  writeFileSync(join(folder, "pairs", "depth", "one.npy"), encodeNpy(rawTensor(depth, [8, 8])));
  writeFileSync(
    join(folder, "set.jsonl"),
    [
      { name: "a", label: "cat", rgb: "pairs/picture/one.png", vector: [1, 2, 3] },
      {
        name: "b",
        label: "dog",
        vector: { values: [1, 2, 3, 4], shape: [2, 2] },
        caption: { text: "a dog" },
      },
      { name: "c", label: "cat", rgb: null, vector: [4, 5, 6] },
      { name: "d", rgb: "missing.png" },
    ]
      .map((line) => JSON.stringify(line))
      .join("\n"),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

it("cuts all images of a sample at the same place, in training too", async () => {
  const shapes = { picture: [4, 4, 3], depth: [4, 4, 1] };
  const pairs = alignedSamples(join(folder, "pairs"), { shapes, tiles: 2 });
  expect(pairs.length).toBe(8);
  for (const random of [undefined, createRandom(3), createRandom(4)]) {
    const { picture, depth } = (await pairs.get(3, random)).parts;
    expect(depth!.shape).toEqual([4, 4, 1]);
    depth!.values.forEach((value, i) => {
      expect(picture!.values[3 * i]).toBe(value);
    });
  }
  expect([...(await pairs.get(3)).parts.depth!.values].slice(0, 4)).toEqual([36, 37, 38, 39]);
  expect((await pairs.get(4)).parts.depth).toBeUndefined(); // there is one picture more
  expect(alignedSamples(join(folder, "pairs"), { shapes, complete: true }).length).toBe(1);
});

it("reads lines with files, values and texts, any of them absent; names may differ", async () => {
  const set = alignedSamples(join(folder, "set.jsonl"), {
    shapes: { photo: [8, 8, 3], voxels: [3], embedding: [4] },
    names: { photo: "rgb", voxels: "vector", caption: "caption" },
  });
  expect([...set.labels!]).toEqual([0, 1, 0, -1]);
  expect(set.classes).toEqual(["cat", "dog"]);
  const [a, b, c] = [await set.get(0), await set.get(1), await set.get(2)];
  expect(a.parts.photo!.shape).toEqual([8, 8, 3]);
  expect(b.texts).toEqual({ caption: "a dog" });
  expect(b.parts.voxels!.shape).toEqual([2, 2]);
  expect(c.parts.photo).toBeUndefined();
  expect(c.parts.embedding).toEqual(a.parts.embedding); // of the same label
  expect(labelEmbedding("dog", [4])).toEqual(b.parts.embedding);
  await expect(set.get(3)).rejects.toThrow("missing.png");
  writeFileSync(join(folder, "torn.npy"), "not an array");
  writeFileSync(join(folder, "torn.jsonl"), '{"vector": "torn.npy"}');
  const torn = alignedSamples(join(folder, "torn.jsonl"), { shapes: { vector: [3] } });
  await expect(torn.get(0)).rejects.toBeInstanceOf(BadSampleError);
});

it("takes stains out of a tile where they are wanted and not given", async () => {
  const shapes = { rgb: [8, 8, 3], haematoxylin: [8, 8, 1], eosin: [8, 8, 1] };
  const { parts } = await alignedSamples(join(folder, "set.jsonl"), { shapes, tiles: 1 }).get(0);
  expect(parts.haematoxylin!.shape).toEqual([8, 8, 1]);
  expect(parts.eosin!.values.every((x) => x > 0 && x <= 1)).toBe(true);
});

it("says what is wrong with a manifest or a folder, and where", () => {
  const bad = join(folder, "bad.jsonl");
  writeFileSync(bad, '{"rgb": "a.png"}\n{"rgb": 7}\n');
  expect(() => listSamples(bad)).toThrow("bad.jsonl:2: rgb: expected a path");
  writeFileSync(bad, "rgb\n");
  expect(() => listSamples(bad)).toThrow("bad.jsonl:1: not JSON");
  expect(() => listSamples(join(folder, "nowhere"))).toThrow("give a manifest");
  const wrong = { shapes: { radar: [4, 4, 2] } };
  expect(() => alignedSamples(join(folder, "pairs"), wrong)).toThrow("names.radar=KEY");
});

it("names a package that is not there with the line that installs it", async () => {
  const missing = Object.assign(new Error("Cannot find package '@unmask/audio' imported from here"), {
    code: "ERR_MODULE_NOT_FOUND",
  });
  const load = () => Promise.reject(missing);
  await expect(loadPeer("@unmask/audio", "a.wav", load)).rejects.toThrow(
    "a.wav needs @unmask/audio, which is not installed; npm install @unmask/audio",
  );
  await expect(loadPeer("@unmask/video", "a.mp4", load)).rejects.toBe(missing); // another package is missing
});
