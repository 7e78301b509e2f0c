import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect, ofType, toy, toyData } from "../../test/toy.js";
import type { Arrangement } from "../method.js";
import { createModel } from "../model.js";
import { flatten } from "../tree.js";
import type { Dataset } from "./dataset.js";
import type { TrainEvent } from "./events.js";
import { pretrain, resume } from "./pretrain.js";
import { resumeTraining, type TrainOptions } from "./train.js";

const options: TrainOptions = {
  epochs: 6,
  batchSize: 12,
  lr: 0.02,
  clip: 1,
  accumulate: 2,
  seed: 5,
  checkpointEvery: { epochs: 0.75 },
};
const bad = [3, 17, 31];
const newModel = () => createModel(toy, {}, { seed: 3 });
const newData = () => toyData(50, { bad, delay: 1 });

let home: string;
beforeAll(async () => {
  await tf.setBackend("cpu");
  home = await mkdtemp(join(tmpdir(), "unmask-resume-"));
});
afterAll(() => rm(home, { recursive: true }));

/** All that must be equal between a run that was interrupted and one that was not. */
async function traceOf(out: string) {
  const latest = (await readFile(join(out, "latest"), "utf8")).trim();
  const bytes = (name: string) => readFile(join(out, latest, name));
  const lines = (await readFile(join(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const { seconds, logs, ...state } = JSON.parse((await bytes("state.json")).toString());
  return {
    latest,
    // What depends on the clock comes last in a line.
    metrics: lines.map((line) => line.slice(0, line.indexOf(',"samplesPerSecond"'))),
    model: (await bytes("model.safetensors")).toString("base64"),
    optimizer: (await bytes("optimizer.safetensors")).toString("base64"),
    state,
  };
}

/** Runs until an event that satisfies `last`, then leaves as a process does that dies: nothing is saved. */
async function leaveAt(events: AsyncIterable<TrainEvent>, last: (event: TrainEvent) => boolean) {
  for await (const event of events) if (last(event)) return;
  throw new Error("the run ended first");
}

async function resumed(out: string) {
  const run = await resume(out, { methods: [toy], dataset: newData() });
  return { ...run, all: await collect(run.events) };
}

describe("resume", () => {
  let whole: Awaited<ReturnType<typeof traceOf>>;
  let wholeEvents: TrainEvent[];
  beforeAll(async () => {
    const out = join(home, "whole");
    wholeEvents = await collect(pretrain(newModel(), newData(), { ...options, out }));
    whole = await traceOf(out);
    expect(whole.metrics).toHaveLength(24);
  });

  it.each([1, 2, 3, 7, 12, 20, 23])("after dying in step %i gives the same run to the bit", async (step) => {
    const out = join(home, `died-${step}`);
    const events = pretrain(newModel(), newData(), { ...options, out });
    await leaveAt(events, (event) => event.type === "step" && event.step === step);
    const { all } = await resumed(out);
    expect(all[0]).toMatchObject({ type: "start", step: Math.floor((step - 1) / 3) * 3, steps: 24 });
    expect(await traceOf(out)).toEqual(whole);
  });

  it("after dying again and again gives the same run, events too", async () => {
    const out = join(home, "died-often");
    const told: TrainEvent[] = [];
    const until = (step: number) => (event: TrainEvent) => {
      told.push(event);
      return event.type === "checkpoint" && event.step >= step;
    };
    await leaveAt(pretrain(newModel(), newData(), { ...options, out }), until(3));
    for (const step of [9, 12, 21])
      await leaveAt((await resume(out, { methods: [toy], dataset: newData() })).events, until(step));
    told.push(...(await resumed(out)).all);
    expect(await traceOf(out)).toEqual(whole);
    const timeless = (events: TrainEvent[]) =>
      events
        .filter(({ type }) => type === "epoch" || type === "skipped")
        .map((event) => ({ ...event, seconds: 0 }));
    expect(timeless(told)).toEqual(timeless(wholeEvents));
    expect(
      ofType(told, "skipped")
        .map(({ index }) => index)
        .sort(),
    ).toEqual([17, 3, 31]);
  });

  it("keeps the order that a method arranges the samples in", async () => {
    const arranged: Arrangement[] = [];
    const ordered = {
      ...toy,
      async arrange(_: unknown, dataset: Dataset<Float32Array>, arrangement: Arrangement) {
        arranged.push(arrangement);
        return arrangement.random.permutation(dataset.length);
      },
    };
    const run = (out: string) =>
      pretrain(createModel(ordered, {}, { seed: 3 }), newData(), { ...options, out: join(home, out) });
    await collect(run("ordered"));
    await leaveAt(run("ordered-died"), (event) => event.type === "step" && event.step === 7);
    const out = join(home, "ordered-died");
    await collect((await resume(out, { methods: [ordered], dataset: newData() })).events);
    const trace = await traceOf(out);
    expect(trace).toEqual(await traceOf(join(home, "ordered")));
    expect(trace.model).not.toBe(whole.model);
    expect(arranged.map(({ batchSize, teachers }) => ({ batchSize, teachers }))).toEqual(
      Array(3).fill({ batchSize: 12, teachers: {} }),
    );
  });

  it("what a method does to begin with is done once, and resumed with the rest", async () => {
    const begun: number[] = [];
    const prepared = {
      ...toy,
      async begin({ counter }: { counter: tf.Variable }, _: unknown, { length }: Dataset<Float32Array>) {
        begun.push(length);
        tf.tidy(() => counter.assign(tf.scalar(7, "int32")));
      },
    };
    const out = join(home, "begun");
    const model = createModel(prepared, {}, { seed: 3 });
    await leaveAt(pretrain(model, newData(), { ...options, out }), (event) => event.type === "checkpoint");
    const run = await resume(out, { methods: [prepared], dataset: newData() });
    await collect(run.events);
    expect([begun, flatten(run.model.params).get("counter")!.dataSync()[0]]).toEqual([[50], 7]);
  });

  it("after an abort continues from the very step", async () => {
    const out = join(home, "aborted");
    const controller = new AbortController();
    let last: TrainEvent | undefined;
    for await (const event of pretrain(newModel(), newData(), {
      ...options,
      out,
      signal: controller.signal,
    })) {
      if (event.type === "step" && event.step === 11) controller.abort();
      last = event;
    }
    expect(last).toMatchObject({ type: "stop", reason: "aborted", checkpoint: join(out, "checkpoints/11") });
    const { all } = await resumed(out);
    expect(all[0]).toMatchObject({ step: 11 });
    expect(await traceOf(out)).toEqual({ ...whole });
  });

  it("gives the model of the run, and leaves nothing but it on the engine", async () => {
    const before = tf.memory().numTensors;
    const { model, all, config } = await resumed(join(home, "whole"));
    expect(all.map(({ type }) => type)).toEqual(["start", "end"]);
    expect(config).toMatchObject({ kind: "pretrain", method: "toy", training: { lr: 0.02, seed: 5 } });
    expect(tf.memory().numTensors - before).toBe(flatten(model.params).size);
    model.dispose();
    const trained = newModel();
    await collect(pretrain(trained, newData(), options));
    const again = await resumed(join(home, "whole"));
    for (const [path, variable] of flatten(trained.params))
      expect(flatten(again.model.params).get(path)!.dataSync(), path).toEqual(variable.dataSync());
  });

  it("restores what is not trained, integers too", async () => {
    const out = join(home, "counted");
    const model = newModel();
    model.params.counter.assign(tf.scalar(9, "int32"));
    await leaveAt(pretrain(model, newData(), { ...options, out }), ({ type }) => type === "checkpoint");
    const counter = flatten((await resumed(out)).model.params).get("counter")!;
    expect([counter.dtype, counter.dataSync()[0]]).toEqual(["int32", 9]);
  });

  it("opens the data by what the run recorded", async () => {
    const out = join(home, "described");
    const data = { folder: "vectors", count: 50 };
    const events = pretrain(newModel(), newData(), { ...options, out, data });
    await leaveAt(events, ({ type }) => type === "checkpoint");
    const { events: rest } = await resume(out, {
      methods: [toy],
      dataset: ({ data }) => toyData((data.description as { count: number }).count, { bad }),
    });
    await collect(rest);
    expect(await traceOf(out)).toEqual(whole);
  });

  it("records what rebuilds the run", async () => {
    const config = JSON.parse(await readFile(join(home, "whole", "config.json"), "utf8"));
    expect(config).toMatchObject({
      kind: "pretrain",
      method: "toy",
      config: { width: 8, hidden: 6, ratio: 0.5 },
      data: { name: "toy vectors", length: 50 },
      training: { seed: 5, optimizer: "adamw", betas: [0.9, 0.95] },
      engine: "cpu",
      versions: { node: process.versions.node, "@tensorflow/tfjs": tf.version.tfjs },
    });
    expect(config.versions["@unmask/core"]).toMatch(/^\d+\.\d+\.\d+/);
  });

  it("keeps the newest checkpoints only", async () => {
    const kept = await readdir(join(home, "whole", "checkpoints"));
    expect(kept.map(Number).sort((a, b) => a - b)).toEqual([18, 21, 24]);
  });

  it("names the last good checkpoint when the loss is not finite", async () => {
    const out = join(home, "diverged");
    const run = { ...options, lr: 1e30, warmupEpochs: 0, clip: undefined, out };
    await expect(collect(pretrain(newModel(), newData(), run))).rejects.toThrow(
      /(loss|norm of the gradients) is (NaN|Infinity) at step \d+; the last good checkpoint is .*diverged.checkpoints.\d+;/,
    );
  });

  it("refuses other data, another method, another kind of run", async () => {
    const out = join(home, "whole");
    const other = (dataset = newData(), methods: (typeof toy)[] = [toy]) =>
      resume(out, { methods, dataset }).then(({ events }) => collect(events));
    await expect(other(toyData(49))).rejects.toThrow(/begun on the 50 samples of toy vectors, got 49/);
    await expect(other({ ...newData(), nameOf: (index) => `renamed-${index}` })).rejects.toThrow(
      /other names/,
    );
    await expect(other(newData(), [])).rejects.toThrow(/run of toy, methods has/);
    const { method, ...model } = newModel();
    const task = { ...model, kind: "finetune", method: method.id };
    await expect(collect(resumeTraining(task, newData(), out))).rejects.toThrow(
      /run of pretrain toy, .* finetune toy/,
    );
  });
});
