import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSafetensors } from "../io/safetensors-file.js";
import { createRandom } from "../random.js";
import { parseCheckpointState } from "./run.js";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "unmask-kill-"));
});
afterAll(() => rm(home, { recursive: true }));

/** Trains in a process of its own; kills it `delay` milliseconds after so many steps. True when it came to its end. */
function trainInChild(out: string, kill?: { steps: number; delay: number }): Promise<boolean> {
  const script = fileURLToPath(new URL("../../test/train-child.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@unmask/source", "--import", "tsx", script, out]);
  let [steps, errors] = [0, ""];
  child.stderr.on("data", (text) => (errors += text));
  child.stdout.on("data", (text: Buffer) => {
    steps += text.toString().split("\n").length - 1;
    if (kill !== undefined && steps >= kill.steps) setTimeout(() => child.kill("SIGKILL"), kill.delay);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resolve(false);
      else if (code === 0) resolve(true);
      else reject(new Error(`the child ended with ${code}: ${errors}`));
    });
  });
}

/** Whatever carries a step's name is complete. */
async function expectWholeCheckpoints(out: string) {
  const checkpoints = join(out, "checkpoints");
  for (const name of (await readdir(checkpoints)).filter((name) => !name.startsWith("."))) {
    const directory = join(checkpoints, name);
    expect(parseCheckpointState(await readFile(join(directory, "state.json"), "utf8"), name).step).toBe(
      +name,
    );
    for (const tensors of ["model.safetensors", "optimizer.safetensors"])
      await (await openSafetensors(join(directory, tensors))).close();
  }
}

const curve = async (out: string) =>
  (await readFile(join(out, "metrics.jsonl"), "utf8"))
    .split("\n")
    .map((line) => line.slice(0, line.indexOf(',"samplesPerSecond"')));

it("a run killed again and again gives the curve and the model of one never killed", async () => {
  const [whole, killed] = [join(home, "whole"), join(home, "killed")];
  const uninterrupted = trainInChild(whole);
  const random = createRandom(1);
  for (let kills = 0; kills < 5; kills++) {
    const ended = await trainInChild(killed, { steps: 1 + random.int(8), delay: random.int(10) });
    expect(ended).toBe(false);
    await expectWholeCheckpoints(killed);
  }
  expect(await trainInChild(killed)).toBe(true);
  expect(await uninterrupted).toBe(true);
  expect(await curve(killed)).toEqual(await curve(whole));
  expect(await curve(whole)).toHaveLength(121);
  const model = (out: string) => readFile(join(out, "checkpoints/120/model.safetensors"));
  expect((await model(killed)).equals(await model(whole))).toBe(true);
});
