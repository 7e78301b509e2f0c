/** The examples of several modalities are run as they stand, on drawn pictures with words for them. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { savePicture } from "@unmask/image";
import { afterAll, beforeAll, expect, it } from "vitest";

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

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-multimodal-"));
  const modules = fileURLToPath(new URL("node_modules", import.meta.url));
  await symlink(modules, join(project, "node_modules"), "junction");
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
        await savePicture(join(project, picture), { pixels, height: 32, width: 32 });
        lines.push(JSON.stringify({ picture, words: { text } }));
      }
  await writeFile(join(project, "things.jsonl"), lines.join("\n"));
});
afterAll(() => rm(project, { recursive: true }));

it("picture-and-words.ts finds the words of pictures it never saw five times as often as chance", async () => {
  const script = fileURLToPath(new URL("picture-and-words.ts", import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const child = spawn(process.execPath, args, { cwd: project });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (errors += text));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code, errors).toBe(0);
  const [, first, chance] = /first ([\d.]+), chance ([\d.]+)/.exec(output)!.map(Number) as [
    number,
    number,
    number,
  ];
  expect(chance).toBe(1 / 16);
  expect(first).toBeGreaterThan(5 * chance);
}, 300_000);
