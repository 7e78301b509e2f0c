/**
 * Kills a pretraining run with SIGKILL at random moments, resumes it each time, and compares it with a run never killed:
 * every step's loss, learning rate and gradient norm, and the bytes of the final model and optimizer, must be equal.
 *
 * pnpm bench kill-resume [--kills 20] [--engine auto] [--steps 240] [--seed N]
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createModel, createRandom, type EngineName, pretrain, resume, startEngine } from "@unmask/core";
import { openSafetensors } from "@unmask/core/node";
import { arrayImages, mae } from "@unmask/image";

const { values: args } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    steps: { type: "string", default: "240" },
    engine: { type: "string", default: "auto" },
    seed: { type: "string", default: String(Date.now()) },
    child: { type: "string" },
  },
});
const kills = Number(args.kills);
const steps = Number(args.steps);
if (args.child === undefined) process.exitCode = (await compare()) ? 0 : 1;
else await trainUntilKilled(args.child);

/** Begins the run, or resumes it where something was saved. */
async function trainUntilKilled(out: string): Promise<void> {
  const { name } = await startEngine(args.engine as EngineName);
  const [count, size, batchSize] = [192, 16, 16];
  const pixels = createRandom(1).uniforms(count * size * size);
  const dataset = arrayImages(pixels, { height: size, width: size, augment: "crop-flip" });
  const config = { imageSize: size, patchSize: 4, channels: 1, width: 48, depth: 2, heads: 3 };
  const decoder = { decoderWidth: 32, decoderDepth: 1, decoderHeads: 2 };
  const epochs = (steps * batchSize) / count;
  const options = { epochs, batchSize, seed: 5, checkpointEvery: { epochs: 0.25 }, out };
  const events = existsSync(join(out, "latest"))
    ? (await resume(out, { methods: [mae], dataset })).events
    : pretrain(createModel(mae, { ...config, ...decoder }, { seed: 3 }), dataset, options);
  for await (const event of events) if (event.type === "start") console.log(name);
}

interface ChildEnd {
  readonly killed: boolean;
  readonly engine: string;
  /** From the first event on. */
  readonly seconds: number;
}

/** One child; killed `after` seconds of training when that is given and it has not ended before. */
function runChild(out: string, after?: number): Promise<ChildEnd> {
  const flags = ["--steps", args.steps, "--engine", args.engine, "--child", out];
  const script = fileURLToPath(import.meta.url);
  const child = spawn(
    process.execPath,
    ["--conditions=@unmask/source", "--import", "tsx", script, ...flags],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let [engine, errors] = ["", ""];
  let began: number | undefined;
  child.stderr.on("data", (text) => (errors += text));
  child.stdout.on("data", (text) => {
    engine += text;
    if (began !== undefined) return;
    began = performance.now();
    if (after !== undefined) setTimeout(() => child.kill("SIGKILL"), after * 1000);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      if (code !== 0 && signal !== "SIGKILL") reject(new Error(`the child ended with ${code}: ${errors}`));
      else
        resolve({
          killed: signal === "SIGKILL",
          engine: engine.trim(),
          seconds: (performance.now() - (began ?? 0)) / 1000,
        });
    });
  });
}

/** Opens every checkpoint that carries a step's name; throws where one is not whole. */
async function checkCheckpoints(out: string): Promise<number> {
  const checkpoints = join(out, "checkpoints");
  const names = (await readdir(checkpoints)).filter((name) => /^\d+$/.test(name));
  for (const name of names) {
    JSON.parse(await readFile(join(checkpoints, name, "state.json"), "utf8"));
    for (const file of ["model.safetensors", "optimizer.safetensors"])
      await (await openSafetensors(join(checkpoints, name, file))).close();
  }
  return names.length;
}

async function linesOf(out: string): Promise<string[]> {
  const text = await readFile(join(out, "metrics.jsonl"), "utf8");
  // What depends on the clock comes last in a line.
  return text.split("\n").map((line) => line.slice(0, line.indexOf(',"samplesPerSecond"')));
}

async function compare(): Promise<boolean> {
  const home = await mkdtemp(join(tmpdir(), "unmask-kill-resume-"));
  try {
    const [whole, killed] = [join(home, "whole"), join(home, "killed")];
    const { seconds, engine } = await runChild(whole);
    console.log(
      `never killed: ${steps} steps on ${engine} in ${seconds.toFixed(1)} s; kills by seed ${args.seed}`,
    );
    const random = createRandom(Number(args.seed));
    let ends = 0;
    for (let kill = 1; kill <= kills; kill++) {
      // On average the run advances by less than its share, so that it outlasts all kills.
      const end = await runChild(killed, (1.4 * random.uniform() * seconds) / kills);
      if (!end.killed) ends++;
      const whole = await checkCheckpoints(killed);
      const at = (await stat(join(killed, "metrics.jsonl")).catch(() => ({ size: 0 }))).size;
      console.log(`kill ${kill}: ${whole} checkpoints, all whole; ${at} bytes of metrics`);
    }
    if (ends > 0) console.log(`the run had ended before ${ends} of the kills; give more --steps`);
    await runChild(killed);
    const [expected, got] = [await linesOf(whole), await linesOf(killed)];
    const different = expected.filter((line, i) => line !== got[i]).length;
    const sameLines = different === 0 && expected.length === got.length && expected.length === steps + 1;
    console.log(`metrics: ${got.length - 1} steps, ${different} differ from the run never killed`);
    let sameBytes = true;
    for (const file of ["model.safetensors", "optimizer.safetensors"]) {
      const [a, b] = await Promise.all(
        [whole, killed].map((out) => readFile(join(out, "checkpoints", args.steps, file))),
      );
      const same = a!.equals(b!);
      console.log(`${file}: ${same ? "equal" : "DIFFERENT"}, ${a!.length} bytes`);
      sameBytes &&= same;
    }
    return sameLines && sameBytes && ends === 0;
  } finally {
    await rm(home, { recursive: true });
  }
}
