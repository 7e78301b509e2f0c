import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { BadSampleError, createRandom, encodeNpy, rawTensor } from "@unmask/core";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomCropView } from "../augment/view.js";
import { imageFolder } from "./image-folder.js";

const root = mkdtempSync(join(tmpdir(), "unmask-images-"));
afterAll(() => rmSync(root, { recursive: true }));

function put(path: string, bytes: Uint8Array | string) {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, bytes);
}

/** A picture that differs in every pixel, smooth enough for jpeg. */
function ramp(width: number, height: number, channels: 1 | 2 | 3 | 4) {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        data[i++] = c === 3 ? 255 : ((c === 1 ? y / height : x / width) * 200 + 20) | 0;
  return { data, image: sharp(data, { raw: { width, height, channels } }) };
}

const solid = (width: number, height: number, r: number, g: number, b: number) =>
  sharp({ create: { width, height, channels: 3, background: { r, g, b } } });

const open = (path: string, options = {}) => imageFolder(join(root, path), { augment: "none", ...options });

describe("imageFolder: files and classes", () => {
  beforeAll(async () => {
    const png = await solid(4, 4, 1, 2, 3).png().toBuffer();
    for (const path of [
      "b/2.png",
      "b/10.PNG",
      "a/deep/er/x.jpeg",
      "a/B.webp",
      "top.gif",
      "c/notes.txt",
      "c/data",
    ])
      put(`tree/${path}`, png);
    for (const path of [".hidden.png", "b/.DS_Store", ".git/x.png"]) put(`tree/${path}`, png);
    put("flat/x.png", png);
    symlinkSync(join(root, "tree"), join(root, "tree", "a", "circle"));
  });

  it("sorts paths by code unit and takes classes from first-level folders that hold images", () => {
    const folder = open("tree", { size: 4 });
    expect(Array.from({ length: folder.length }, (_, i) => folder.nameOf(i))).toEqual([
      "a/B.webp",
      "a/deep/er/x.jpeg",
      "b/10.PNG",
      "b/2.png",
      "top.gif",
    ]);
    expect(folder.classes).toEqual(["a", "b"]);
    expect([...folder.labels!]).toEqual([0, 0, 1, 1, -1]);
    expect(folder.ignored).toEqual(
      new Map([
        [".txt", 1],
        ["", 1],
      ]),
    );
  });

  it("puts the class into the sample and takes the order of classes from outside", async () => {
    const folder = open("tree", { size: 4, classes: ["b", "zebra"] });
    expect([...folder.labels!]).toEqual([-1, -1, 0, 0, -1]);
    expect((await folder.get(2)).label).toBe(0);
  });

  it("has no labels where there are no sub-folders", async () => {
    const folder = open("flat", { size: 4 });
    expect(folder.labels).toBeUndefined();
    expect(await folder.get(0)).not.toHaveProperty("label");
  });

  it("says what it found where there is no image, and when the folder is missing", () => {
    expect(() => open("tree/c")).toThrow(/holds no image; found 1 without extension, 1 \.txt/);
    expect(() => open("absent")).toThrow(/cannot read .*absent/);
  });

  it("has a fingerprint that changes with a file and with the view", async () => {
    const before = await open("flat", { size: 4 }).fingerprint();
    expect(await open("flat", { size: 4 }).fingerprint()).toBe(before);
    expect(await open("flat", { size: 5 }).fingerprint()).not.toBe(before);
    utimesSync(join(root, "flat/x.png"), 1, 1);
    expect(await open("flat", { size: 4 }).fingerprint()).not.toBe(before);
  });
});

describe("imageFolder: formats", () => {
  it.each(["png", "jpeg", "webp", "tiff", "avif", "gif"] as const)("reads %s", async (format) => {
    const lossless = format === "png" || format === "tiff";
    const { data, image } = ramp(24, 16, 3);
    put(
      `formats-${format}/x.${format}`,
      await image
        .toFormat(format, format === "tiff" ? { compression: "deflate" } : lossless ? {} : { quality: 95 })
        .toBuffer(),
    );
    const sample = await open(`formats-${format}`, { channels: "auto" }).get(0);
    expect([sample.height, sample.width, sample.channels]).toEqual([16, 24, 3]);
    const error = data.reduce((sum, value, i) => sum + Math.abs(value - sample.pixels[i]!), 0) / data.length;
    expect(error).toBeLessThan(lossless ? 1e-9 : 4);
  });

  it("turns pictures as their orientation tag says", async () => {
    const { data, image } = ramp(8, 4, 3);
    put("turned/x.png", await image.withMetadata({ orientation: 6 }).png().toBuffer());
    const sample = await open("turned").get(0);
    expect([sample.height, sample.width]).toEqual([8, 4]); // a quarter turn clockwise
    for (let y = 0; y < 8; y++)
      for (let x = 0; x < 4; x++) expect(sample.pixels[(y * 4 + x) * 3]).toBe(data[((3 - x) * 8 + y) * 3]);
  });

  it("keeps 16 bits of gray and colour", async () => {
    const gray = Uint16Array.from({ length: 16 }, (_, i) => i * 4000 + 7);
    const colour = Uint16Array.from({ length: 48 }, (_, i) => i * 1300 + 1);
    const raw = { width: 4, height: 4 };
    put(
      "deep/gray.png",
      await sharp(gray, { raw: { ...raw, channels: 1 } })
        .toColourspace("grey16")
        .png()
        .toBuffer(),
    );
    put(
      "deep/rgb.png",
      await sharp(colour, { raw: { ...raw, channels: 3 } })
        .toColourspace("rgb16")
        .png()
        .toBuffer(),
    );
    put(
      "deep/rgb.tif",
      await sharp(colour, { raw: { ...raw, channels: 3 } })
        .toColourspace("rgb16")
        .tiff({ compression: "lzw" })
        .toBuffer(),
    );
    const folder = open("deep", { channels: "auto" });
    expect((await folder.get(0)).pixels).toEqual(gray);
    expect((await folder.get(1)).pixels).toEqual(colour);
    expect((await folder.get(2)).pixels).toEqual(colour);
    const repeated = await open("deep", { channels: 3 }).get(0);
    expect([...repeated.pixels.subarray(0, 6)]).toEqual([7, 7, 7, 4007, 4007, 4007]);
  });

  it("converts CMYK to colour", async () => {
    put("cmyk/x.jpg", await solid(8, 8, 200, 30, 60).toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer());
    const [r, g, b] = (await open("cmyk").get(0)).pixels;
    expect(Math.abs(r! - 200) + Math.abs(g! - 30) + Math.abs(b! - 60)).toBeLessThan(60);
  });

  it("reads NumPy arrays of any number of bands", async () => {
    const pixels = Uint16Array.from({ length: 3 * 4 * 13 }, (_, i) => i * 100);
    put("bands/x.npy", encodeNpy(rawTensor(pixels, [3, 4, 13])));
    const sample = await open("bands", { channels: 13 }).get(0);
    expect(sample).toMatchObject({ height: 3, width: 4, channels: 13, pixels });
    await expect(open("bands", { channels: 3 }).get(0)).rejects.toThrow(/has 13 channels where 3 are wanted/);
  });

  it("reads tiffs of many bands and of negative numbers", async () => {
    const values = Int16Array.from({ length: 2 * 3 * 7 }, (_, i) => i * 10 - 50);
    put("multi/x.tif", bandTiff(values, 2, 3, 7));
    const sample = await open("multi", { channels: 7 }).get(0);
    expect(sample).toMatchObject({ height: 2, width: 3, channels: 7, pixels: Float32Array.from(values) });
  });
});

describe("imageFolder: channels", () => {
  beforeAll(async () => {
    const rgba = Uint8Array.from([200, 100, 0, 255, 200, 100, 0, 51, 9, 9, 9, 0]);
    put(
      "alpha/x.png",
      await sharp(rgba, { raw: { width: 3, height: 1, channels: 4 } })
        .png()
        .toBuffer(),
    );
    put("gray/x.png", await ramp(4, 2, 1).image.toColourspace("b-w").png().toBuffer());
  });
  const values = async (path: string, options: object) => [...(await open(path, options).get(0)).pixels];

  it("lays transparent pictures over the background or keeps their opacity", async () => {
    expect(await values("alpha", { channels: 3 })).toEqual([200, 100, 0, 244, 224, 204, 255, 255, 255]);
    expect(await values("alpha", { channels: 3, background: 0 })).toEqual([200, 100, 0, 40, 20, 0, 0, 0, 0]);
    expect((await values("alpha", { channels: 4 })).slice(0, 8)).toEqual([200, 100, 0, 255, 200, 100, 0, 51]);
  });

  it("weighs colour to gray as ITU-R 601 and repeats gray for colour", async () => {
    expect(await values("alpha", { channels: 1 })).toEqual([119, 228, 255]);
    const gray = await values("gray", { channels: "auto" });
    expect(gray.length).toBe(8);
    expect(await values("gray", { channels: 3 })).toEqual(gray.flatMap((v) => [v, v, v]));
    expect(await values("gray", { channels: 4 })).toEqual(gray.flatMap((v) => [v, v, v, 255]));
  });
});

describe("imageFolder: views", () => {
  beforeAll(async () => {
    put("small/x.png", await ramp(40, 30, 3).image.png().toBuffer());
    put("large/x.jpg", await ramp(1200, 900, 3).image.jpeg({ quality: 100 }).toBuffer());
    put("large/y.png", await ramp(900, 1200, 3).image.png().toBuffer());
    put("long/x.png", await ramp(20000, 10, 3).image.png().toBuffer());
    put("long/y.png", await ramp(40000, 10, 3).image.png().toBuffer());
    put("dot/x.png", await solid(1, 1, 9, 8, 7).png().toBuffer());
  });

  it("gives the same training view for the same draws, whatever was kept in memory", async () => {
    const keeping = imageFolder(join(root, "small"), { size: 16 });
    const forgetting = imageFolder(join(root, "small"), { size: 16, cache: 0 });
    const views = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const draw = () => createRandom(5).child(i);
      const sample = await keeping.get(0, draw());
      expect(await forgetting.get(0, draw())).toEqual(sample);
      expect(await keeping.get(0, draw())).toEqual(sample);
      views.add(sample.pixels.join());
    }
    expect(views.size).toBe(6);
    expect(await keeping.get(0)).toEqual(await open("small", { size: 16 }).get(0));
  });

  /** Where in the picture (0 to 1) the ramps say that each pixel of the sample comes from. */
  const place = (pixels: ArrayLike<number>, i: number) => (pixels[i]! - 20) / 200;

  it.each([0, 1])("cuts large pictures where small ones are cut (file %i)", async (index) => {
    const folder = imageFolder(join(root, "large"), { size: 24 });
    for (let i = 0; i < 8; i++) {
      const random = createRandom(3).child(i);
      const sample = await folder.get(index, random);
      const [height, width] = index === 0 ? [900, 1200] : [1200, 900];
      const { box, flip } = replayCrop(height, width, createRandom(3).child(i));
      for (const [y, x] of [
        [0, 0],
        [0, 23],
        [23, 0],
        [12, 7],
      ] as const) {
        const across = (flip ? 23 - x : x) + 0.5;
        const left = (box.left + (across * box.width) / 24) / width;
        const top = (box.top + ((y + 0.5) * box.height) / 24) / height;
        const i = (y * 24 + x) * 3;
        // Where a jpeg is shrunk while it is decoded, a crop may lie half a pixel of the picture beside its place.
        expect(Math.abs(place(sample.pixels, i) - left)).toBeLessThan(0.5 / 24 + 0.01);
        expect(Math.abs(place(sample.pixels, i + 1) - top)).toBeLessThan(0.5 / 24 + 0.01);
      }
    }
    const centre = await folder.get(index);
    const middle = (12 * 24 + 12) * 3;
    expect(place(centre.pixels, middle)).toBeCloseTo(0.5, 1);
    expect(place(centre.pixels, middle + 1)).toBeCloseTo(0.5, 1);
  });

  it.each([0, 1])("cuts a square out of the middle of a very long picture (file %i)", async (index) => {
    const sample = await open("long", { size: 32 }).get(index);
    expect([sample.height, sample.width]).toEqual([32, 32]);
    for (let x = 0; x < 32; x++) expect(Math.abs(place(sample.pixels, x * 3) - 0.5)).toBeLessThan(0.01);
    const column = Array.from({ length: 32 }, (_, y) => sample.pixels[y * 32 * 3 + 1]!);
    expect(column).toEqual([...column].sort((a, b) => a - b));
    expect(column.at(-1)! - column[0]!).toBeGreaterThan(120);
    const random = await imageFolder(join(root, "long"), { size: 32 }).get(index, createRandom(1));
    expect([random.height, random.width]).toEqual([32, 32]);
  });

  it("enlarges a single pixel", async () => {
    const sample = await imageFolder(join(root, "dot"), { size: 8 }).get(0, createRandom(1));
    expect(sample.pixels).toEqual(Uint8Array.from({ length: 192 }, (_, i) => 9 - (i % 3)));
  });

  it("pads a large picture without changing its aspect", async () => {
    const sample = await open("large", { size: [20, 40], resize: "pad", background: 0 }).get(0);
    const row = [...sample.pixels.subarray(10 * 40 * 3, 11 * 40 * 3)].filter((_, i) => i % 3 === 0);
    expect(row.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]); // 27 columns of picture, 6 and 7 of bars
    expect(row[6]).toBeGreaterThan(15);
    expect(row[32]).toBeGreaterThan(200);
    expect(row.slice(33)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it("changes training views by a function", async () => {
    const folder = imageFolder(join(root, "dot"), {
      size: 2,
      augment: (sample, random) => ({ ...sample, pixels: sample.pixels.fill(random.int(200)) }),
    });
    expect((await folder.get(0)).pixels[0]).toBe(9);
    expect((await folder.get(0, createRandom(2))).pixels[0]).toBe(createRandom(2).int(200));
    expect((await folder.get(0)).pixels[0]).toBe(9);
  });
});

describe("imageFolder: bad files", () => {
  beforeAll(async () => {
    const jpeg = await ramp(200, 100, 3).image.jpeg().toBuffer();
    const png = await ramp(200, 100, 3).image.png({ compressionLevel: 0 }).toBuffer();
    put("bad/cut.jpg", jpeg.subarray(0, jpeg.length >> 1));
    put("bad/cut.png", png.subarray(0, png.length >> 1));
    put("bad/empty.png", "");
    put("bad/good.png", await solid(4, 4, 1, 2, 3).png().toBuffer());
    put("bad/text.jpg", "Dear diary, this is no picture. ".repeat(20));
    put("bad/text.npy", "Dear diary, this is no array. ".repeat(20));
    put("bad/text.tif", "Dear diary, this is no tiff. ".repeat(20));
    put("bad/vast.jpg", await vastJpeg(60000, 60000));
    put("bad/vast.tif", bandTiff(Int16Array.from([1]), 16000, 16000, 7));
    put("bad/cut.tif", bandTiff(new Int16Array(6 * 7 * 8), 6, 7, 8).subarray(0, 500));
  });

  it.each([
    ["cut.jpg", /premature end/i],
    ["cut.png", /read|end/i],
    ["empty.png", /the file is empty/],
    ["text.jpg", /unsupported image format/],
    ["text.npy", /npy/],
    ["text.tif", /does not begin as a TIFF/],
    ["vast.jpg", /exceeds pixel limit/],
    ["vast.tif", /16000x16000 pixels of 7 bands exceed the limit/],
    ["cut.tif", /pixels lie outside the file; it was cut short/],
  ])("%s: names the file and the reason", async (name, reason) => {
    for (const size of [8, 4000]) {
      const folder = open("bad", { size });
      const index = Array.from({ length: folder.length }, (_, i) => folder.nameOf(i)).indexOf(name);
      const error = await folder.get(index).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(BadSampleError);
      expect(error).toMatchObject({ sample: name, reason: expect.stringMatching(reason) });
    }
  });

  it("a file that went away after it was listed", async () => {
    put("gone/x.png", "");
    const folder = open("gone");
    rmSync(join(root, "gone/x.png"));
    await expect(folder.get(0)).rejects.toThrow(BadSampleError);
  });

  it("take passes over them", async () => {
    const samples = await open("bad", { size: 4 }).take(3);
    expect(samples.map(({ pixels }) => [...pixels.subarray(0, 3)])).toEqual([[1, 2, 3]]);
  });
});

/** The crop and flip that the reader draws. */
function replayCrop(height: number, width: number, random: ReturnType<typeof createRandom>) {
  const view = randomCropView(height, width, [24, 24], random);
  return { box: view.box, flip: random.uniform() < 0.5 };
}

/** A JPEG that declares a size it does not have. */
async function vastJpeg(width: number, height: number): Promise<Uint8Array> {
  const bytes = await solid(8, 8, 1, 2, 3).jpeg().toBuffer();
  const frame = bytes.indexOf(Uint8Array.from([0xff, 0xc0]));
  bytes.writeUInt16BE(height, frame + 5);
  bytes.writeUInt16BE(width, frame + 7);
  return bytes;
}

/** A little-endian TIFF of one uncompressed strip of 16-bit signed numbers, bands interleaved. */
function bandTiff(values: Int16Array, height: number, width: number, bands: number): Uint8Array {
  const tags: [number, number, number, number][] = [
    [256, 4, 1, width],
    [257, 4, 1, height],
    [258, 3, bands, 0], // bits per sample, placed below
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [273, 4, 1, 0], // strip offset, placed below
    [277, 3, 1, bands],
    [278, 4, 1, height],
    [279, 4, 1, values.byteLength],
    [339, 3, bands, 0], // sample format, placed below
  ];
  const lists = 8 + 2 + tags.length * 12 + 4;
  const data = lists + 4 * bands;
  const out = Buffer.alloc(data + values.byteLength);
  out.write("II");
  out.writeUInt16LE(42, 2);
  out.writeUInt32LE(8, 4);
  out.writeUInt16LE(tags.length, 8);
  tags.forEach(([tag, type, count, value], i) => {
    const at = 10 + i * 12;
    out.writeUInt16LE(tag, at);
    out.writeUInt16LE(type, at + 2);
    out.writeUInt32LE(count, at + 4);
    if (tag === 273) out.writeUInt32LE(data, at + 8);
    else if (count > 2) out.writeUInt32LE(tag === 258 ? lists : lists + 2 * bands, at + 8);
    else out.writeUInt32LE(tag === 258 ? 16 : tag === 339 ? 2 : value, at + 8);
  });
  for (let b = 0; b < bands; b++) {
    out.writeUInt16LE(16, lists + 2 * b);
    out.writeUInt16LE(2, lists + 2 * (bands + b));
  }
  out.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), data);
  return out;
}
