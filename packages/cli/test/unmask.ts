/** The command in a process of its own, from its sources, and small data for it. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const ENTRY = fileURLToPath(new URL("../src/index.ts", import.meta.url));
const LOADER = import.meta.resolve("tsx");

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Workspace {
  readonly directory: string;
  path(...parts: string[]): string;
  /** Runs `unmask ...args` here. `onStderr` may send it signals. */
  unmask(
    args: readonly string[],
    onStderr?: (all: string, kill: (signal: NodeJS.Signals) => void) => void,
  ): Promise<Finished>;
  remove(): void;
}

export function createWorkspace(): Workspace {
  const directory = mkdtempSync(join(tmpdir(), "unmask-cli-"));
  const path = (...parts: string[]) => join(directory, ...parts);
  return {
    directory,
    path,
    unmask(args, onStderr) {
      const child = spawn(
        process.execPath,
        ["--conditions=@unmask/source", "--import", LOADER, ENTRY, ...args],
        { cwd: directory, env: { ...process.env, XDG_CACHE_HOME: path("cache"), NODE_OPTIONS: "" } },
      );
      let stdout = "";
      let stderr = "";
      child.stdout.on("data", (chunk: Buffer) => {
        stdout += chunk.toString();
      });
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk.toString();
        onStderr?.(stderr, (signal) => child.kill(signal));
      });
      return new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("close", (code) => resolve({ code, stdout, stderr }));
      });
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Writes `count` noisy squares of one colour. */
export async function writeImages(
  folder: string,
  count: number,
  {
    size = 16,
    colour = { r: 200, g: 60, b: 60 },
  }: { size?: number; colour?: { r: number; g: number; b: number } } = {},
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const shade = (value: number) => Math.min(255, value + 5 * i);
    const background = { r: shade(colour.r), g: shade(colour.g), b: shade(colour.b) };
    const square = {
      create: { width: size >> 1, height: size >> 1, channels: 3, background: "white" },
    } as const;
    await sharp({ create: { width: size, height: size, channels: 3, background } })
      .composite([{ input: await sharp(square).png().toBuffer(), top: i % (size >> 1), left: 2 }])
      .jpeg()
      .toFile(join(folder, `${i}.jpg`));
  }
}

/** What goes wrong with folders of pictures in the wild. */
export async function writeHardImages(folder: string): Promise<void> {
  await writeImages(folder, 8);
  const jpeg = await sharp({
    create: {
      width: 64,
      height: 64,
      channels: 3,
      background: "red",
      noise: { type: "gaussian", mean: 128, sigma: 40 },
    },
  })
    .jpeg()
    .toBuffer();
  writeFileSync(join(folder, "truncated.jpg"), jpeg.subarray(0, jpeg.length >> 1));
  writeFileSync(join(folder, "zero.png"), "");
  writeFileSync(join(folder, "text.jpg"), "this is no picture");
  const plain = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: "green" } });
  await plain(1, 1).png().toFile(join(folder, "one.png"));
  await plain(20_000, 10).png().toFile(join(folder, "long.png"));
  await plain(40, 40).toColourspace("cmyk").jpeg().toFile(join(folder, "cmyk.jpg"));
}

/** Sizes that train in a moment. */
export const TINY = ["width=16", "depth=1", "heads=2", "decoderWidth=12", "decoderDepth=1", "decoderHeads=2"];

export const goldenDirectory = (name: string) => join(dirname(ENTRY), "../../image/test/goldens", name);

/** Lines of JSON. */
export const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
