/**
 * pnpm bench scale [--rounds 5] [--engine native]
 *
 * How the time of a training step grows with batch, tokens, width and depth, each doubled from one setting of MAE while the
 * others stay, and what a second thread gives. Beside each time stand its growth and that of the work, in multiplications
 * and additions: a growth above the work's says what does not scale. Every thread count is a process of its own.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildPackages, inFolder, inTurns, median, startRunner } from "./workers/alternate.js";
import { type MaeStep, operations, transformer, writeMaeStep } from "./workers/mae-steps.js";

const { values: args } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, engine: { type: "string", default: "native" } },
});

/** One setting: 224 x 224 pixels are 196 tokens, of which a quarter is visible. */
const start = { batch: 16, side: 224, width: 192, depth: 6 };
const axes = {
  batch: [4, 8, 16, 32, 64],
  side: [112, 160, 224, 320, 448],
  width: [96, 192, 384, 768],
  depth: [3, 6, 12, 24],
} satisfies Record<keyof typeof start, number[]>;

function setting({ batch, side, width, depth }: typeof start): MaeStep {
  const sizes = transformer(width, depth, Math.max(width / 64, 2), [128, 2, 4]);
  return { batch, config: { imageSize: [side, side], patchSize: [16, 16], ...sizes } };
}

/** Median milliseconds of a step by one thread and by all. */
const times = (step: MaeStep) =>
  inFolder(async (folder): Promise<[one: number, all: number]> => {
    const inputs = join(folder, "inputs.safetensors");
    await writeMaeStep(inputs, step, 1);
    const worker = fileURLToPath(new URL("./workers/mae-step.mjs", import.meta.url));
    const by = (threads: number) =>
      startRunner(`${threads}`, process.execPath, [worker, inputs, args.engine, String(threads)]);
    const [one, all] = await inTurns([by(1), by(availableParallelism())], Number(args.rounds));
    return [median(one!.times), median(all!.times)];
  });

buildPackages();
console.log(
  `MAE, from batch ${start.batch}, ${start.side} x ${start.side} pixels in patches of 16, ${start.width} x ${start.depth} blocks; median of ${args.rounds}`,
);
for (const [axis, values] of Object.entries(axes)) {
  let before: { work: number; ms: number } | undefined;
  for (const value of values) {
    const step = setting({ ...start, [axis]: value });
    const work = operations(step);
    const [one, all] = await times(step);
    const grown =
      before && `time x ${(all / before.ms).toFixed(2)}, work x ${(work / before.work).toFixed(2)}`;
    console.log(
      [
        `${axis} ${value}`.padEnd(12),
        `${all.toFixed(0)} ms`.padStart(9),
        `${(work / all / 1e6).toFixed(0)} GFLOP/s`.padStart(12),
        `one thread ${one.toFixed(0)} ms, ${(one / all).toFixed(2)} times as long`.padEnd(40),
        grown ?? "",
      ].join("  "),
    );
    before = { work, ms: all };
  }
}
