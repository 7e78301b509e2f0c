/** The examples of several modalities; one reads drawn pictures with words for them, the others draw their samples. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { savePicture } from "@unmask/image";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printed, printedLosses } from "./test/example-folder.js";

const COLOURS = {
  red: [1, 0, 0],
  green: [0, 0.8, 0],
  blue: [0, 0, 1],
  yellow: [1, 1, 0],
  pink: [1, 0.4, 0.7],
  white: [1, 1, 1],
  orange: [1, 0.5, 0],
  cyan: [0, 1, 1],
} as const;
const PATTERNS: Readonly<Record<string, (y: number, x: number) => boolean>> = {
  bars: (_, x) => x % 16 < 8,
  rows: (y) => y % 16 < 8,
  squares: (y, x) => x % 16 < 8 === y % 16 < 8,
  dot: (y, x) => Math.hypot(y - 16, x - 16) < 10,
  frame: (y, x) => Math.min(y, x, 31 - y, 31 - x) < 5,
};

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
  const lines: string[] = [];
  for (const [colour, rgb] of Object.entries(COLOURS))
    for (const [pattern, isOn] of Object.entries(PATTERNS))
      for (const [tone, light] of [
        ["dark", 110],
        ["light", 250],
      ] as const) {
        const text = `${tone} ${colour} ${pattern}`;
        const picture = `pictures/${text.replaceAll(" ", "-")}.png`;
        const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => {
          const at = Math.floor(i / 3);
          return isOn(Math.floor(at / 32), at % 32) ? light * rgb[i % 3]! : 20;
        });
        await savePicture(join(folder.path, picture), { pixels, height: 32, width: 32 });
        lines.push(JSON.stringify({ picture, words: { text } }));
      }
  await writeFile(join(folder.path, "things.jsonl"), lines.join("\n"));
});
afterAll(() => folder.remove());

it("picture-and-words.ts finds the words of pictures it never saw five times as often as chance", async () => {
  const output = await folder.run("picture-and-words.ts");
  expect(printed(output, "chance ")).toBe(1 / 16);
  expect(printed(output, "first ")).toBeGreaterThan(5 / 16);
}, 300_000);

it("sound-and-video.ts trains five methods, and finds sounds of clips it never saw", async () => {
  const output = await folder.run("sound-and-video.ts");
  for (const method of ["av-mae", "hicmae", "mavil", "mavil-features", "pairwise-contrast"]) {
    const [, first, last] = new RegExp(`^${method}: loss (\\S+) to (\\S+)`, "m").exec(output)!;
    expect(Number(last), method).toBeLessThan(0.7 * Number(first));
  }
  for (const method of ["mavil", "mavil-features", "pairwise-contrast"])
    expect(printed(output, `${method}: own sound among five `), method).toBeGreaterThan(0.6);
}, 300_000);

it("clips-and-captions.ts trains four methods, finds clips by captions and answers questions", async () => {
  const output = await folder.run("clips-and-captions.ts");
  for (const method of ["simvtp", "dual-encoder", "caption-guided-mae", "smaug"]) {
    const [, first, last] = new RegExp(`^${method}: loss (\\S+) to (\\S+)`, "m").exec(output)!;
    expect(Number(last), method).toBeLessThan(0.8 * Number(first));
  }
  expect(printed(output, "caption's colour first ")).toBeGreaterThan(0.6);
  expect(printed(output, "answered rightly ")).toBeGreaterThan(0.6);
}, 300_000);

it("radar-and-optical.ts finds the optical tile of a radar tile", async () => {
  expect(printed(await folder.run("radar-and-optical.ts"), "tile first ")).toBeGreaterThan(0.5);
}, 300_000);

it("stained-tiles.ts trains on a tile and its stains and draws all three", async () => {
  const output = await folder.run("stained-tiles.ts");
  const losses = printedLosses(output);
  expect(losses.at(-1)).toBeLessThan(0.8 * losses[0]!);
  for (const shape of ["rgb 2,32,32,3", "haematoxylin 2,32,32,1", "eosin 2,32,32,1"])
    expect(output).toContain(shape);
}, 300_000);

it("vectors-to-pictures.ts finds the picture of a vector and draws it", async () => {
  const output = await folder.run("vectors-to-pictures.ts");
  expect(printed(output, "own picture first ")).toBeGreaterThan(0.4);
  expect(printed(output, "of new pictures ")).toBeLessThan(0.3 * printed(output, "of gray ones "));
}, 300_000);
