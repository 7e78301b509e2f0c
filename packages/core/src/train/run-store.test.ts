import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { collect, toy, toyData } from "../../test/toy.js";
import { FormatError, UnmaskError } from "../errors.js";
import { createModel } from "../model.js";
import { flatten } from "../tree.js";
import { pretrain, resume } from "./pretrain.js";

const options = { epochs: 4, batchSize: 20, lr: 0.01, checkpointEvery: { epochs: 1 } };
const begin = (out: string) =>
  collect(pretrain(createModel(toy, {}, { seed: 3 }), toyData(), { ...options, out }));
const proceed = async (out: string) =>
  collect((await resume(out, { methods: [toy], dataset: toyData() })).events);

let home: string;
let out: string;
let runs = 0;
beforeAll(async () => {
  await tf.setBackend("cpu");
  home = await mkdtemp(join(tmpdir(), "unmask-run-"));
  await begin(join(home, "complete"));
});
afterAll(() => rm(home, { recursive: true }));
beforeEach(async () => {
  out = join(home, `run-${runs++}`);
  await cp(join(home, "complete"), out, { recursive: true });
});

describe("run directory", () => {
  it("is not written over", async () => {
    await expect(begin(out)).rejects.toThrow(/holds a run; resume it/);
    await rm(join(out, "latest"));
    await rm(join(out, "config.json"));
    await expect(begin(out)).rejects.toThrow(/not a run's/);
  });

  it("can be begun again when nothing had been saved", async () => {
    for (const name of ["latest", "checkpoints"]) await rm(join(out, name), { recursive: true });
    await expect(proceed(out)).rejects.toThrow(/stopped before anything was saved/);
    await begin(out);
    const lines = (await readFile(join(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("says so where there is none", async () => {
    await expect(proceed(join(home, "nowhere"))).rejects.toThrow(/found no config\.json/);
  });

  it("loses nothing when the process dies between a checkpoint and `latest`", async () => {
    await writeFile(join(out, "latest"), "checkpoints/4\n");
    await mkdir(join(out, "checkpoints/.partial-dead"));
    await writeFile(join(out, "checkpoints/.partial-dead/model.safetensors"), "half");
    const events = await proceed(out);
    expect(events[0]).toMatchObject({ type: "start", step: 4 });
    expect((await readdir(join(out, "checkpoints"))).sort()).toEqual(["4", "6", "8"]);
    for (const file of ["model.safetensors", "optimizer.safetensors"])
      expect(await readFile(join(out, "checkpoints/8", file))).toEqual(
        await readFile(join(home, "complete/checkpoints/8", file)),
      );
  });

  it("goes on from shorter logs than it wrote, as a power cut may leave them", async () => {
    await writeFile(join(out, "latest"), "checkpoints/4\n");
    await truncate(join(out, "metrics.jsonl"), 0);
    await proceed(out);
    const lines = (await readFile(join(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).step)).toEqual([5, 6, 7, 8]);
  });

  it.each([
    ["config.json", "{"],
    ["config.json", "{}"],
    ["config.json", JSON.stringify({ format: 2 })],
    ["latest", "checkpoints/../../x\n"],
    ["latest", ""],
    ["checkpoints/8/state.json", "null"],
    ["checkpoints/8/state.json", '{"step":-1}'],
    ["checkpoints/8/model.safetensors", "half"],
    ["checkpoints/8/optimizer.safetensors", ""],
  ])("names a damaged %s", async (name, content) => {
    await writeFile(join(out, name), content);
    const failure = await proceed(out).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as Error).message).toContain(name.split("/").at(-1));
  });

  it("leaves the run as it was when a checkpoint cannot be written", async () => {
    await writeFile(join(out, "latest"), "checkpoints/4\n");
    const broken = toyData();
    const { model, events } = await resume(out, { methods: [toy], dataset: broken });
    const failing = async () => {
      // A disposed parameter cannot be read off the engine when the checkpoint is written.
      for await (const event of events)
        if (event.type === "epoch") flatten(model.params).get("encoder.bias")!.dispose();
    };
    await expect(failing()).rejects.toThrow();
    expect(await readFile(join(out, "latest"), "utf8")).toBe("checkpoints/4\n");
    expect((await readdir(join(out, "checkpoints"))).filter((name) => name.startsWith("."))).toEqual([]);
    expect((await proceed(out)).at(-1)).toMatchObject({ type: "end", step: 8 });
  });

  it("is trained in by one process at a time, whose death leaves it free", async () => {
    await writeFile(join(out, "latest"), "checkpoints/4\n");
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await writeFile(join(out, "lock"), `${other.pid} ${hostname()}\n`);
    await expect(proceed(out)).rejects.toThrow(`process ${other.pid} trains in ${out}`);
    const died = once(other, "exit");
    other.kill("SIGKILL");
    await died;
    expect((await proceed(out)).at(-1)).toMatchObject({ type: "end", step: 8 });
    expect(await readdir(out)).not.toContain("lock");
  });

  it("goes on where another machine began", async () => {
    await writeFile(join(out, "latest"), "checkpoints/4\n");
    await writeFile(join(out, "lock"), "1 elsewhere\n");
    expect((await proceed(out)).at(-1)).toMatchObject({ type: "end", step: 8 });
  });

  it("needs Node", async () => {
    const elsewhere = await import("../unavailable.js");
    await expect(elsewhere.createRun()).rejects.toThrow(UnmaskError);
    const files = await import("#node");
    for (const name of Object.keys(elsewhere)) expect(files).toHaveProperty(name);
  });
});
