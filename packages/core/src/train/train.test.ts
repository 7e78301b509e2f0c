import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { collect, ofType, toy, toyData } from "../../test/toy.js";
import { pendingBuffer, updateBuffer } from "../buffers.js";
import type { LossTerms, Teachers, UpdateProgress } from "../method.js";
import { createModel } from "../model.js";
import type { createRandom } from "../random.js";
import { flatten } from "../tree.js";
import { pretrain } from "./pretrain.js";
import { type TrainTask, train } from "./train.js";

beforeAll(() => tf.setBackend("cpu"));

const newModel = () => createModel(toy, {}, { seed: 3 });
type Toy = ReturnType<typeof newModel>;

const values = (model: Toy) =>
  [...flatten(model.params).values()].map((variable) => [...variable.dataSync()]);

/** The toy task with another loss. */
function taskWith(
  model: Toy,
  loss: (terms: LossTerms, step: number) => LossTerms,
): TrainTask<Float32Array, object> {
  let step = 0;
  return {
    kind: "pretrain",
    method: "toy",
    config: model.config,
    params: model.params,
    prepare: model.prepare,
    loss: (batch) => loss(model.loss(batch as ReturnType<Toy["prepare"]>), ++step),
  };
}

describe("what moves beside gradients", () => {
  const counting = (model: Toy) =>
    taskWith(model, (terms) => {
      const { counter } = model.params as unknown as { counter: tf.Variable };
      updateBuffer(counter, () => tf.add(pendingBuffer(counter), tf.scalar(1, "int32")));
      updateBuffer(counter, () => tf.add(pendingBuffer(counter), tf.scalar(10, "int32")));
      return terms;
    });
  const counted = (model: Toy) => flatten(model.params).get("counter")!.dataSync()[0];

  it("buffers take the values that each part of a step says, and nobody else moves them", async () => {
    const model = newModel();
    const task = counting(model);
    await collect(train(task, toyData(20), { epochs: 3, batchSize: 10 }));
    expect(counted(model)).toBe(6 * 11);
    await collect(train(task, toyData(20), { epochs: 3, batchSize: 10, accumulate: 2 }));
    expect(counted(model)).toBe(6 * 11 + 12 * 11);
    const random = (await import("../random.js")).createRandom(1);
    tf.dispose(task.loss(model.prepare([new Float32Array(8)], random)).total);
    expect(counted(model)).toBe(18 * 11);
  });

  it("a method is told of every update, and its tensors of that call go", async () => {
    const told: UpdateProgress[] = [];
    const method: typeof toy & { afterUpdate(params: object, config: object, at: UpdateProgress): void } = {
      ...toy,
      afterUpdate: (_params, _config, at) => {
        tf.scalar(told.push(at));
      },
    };
    const model = createModel(method, {}, { seed: 3 });
    const before = tf.memory().numTensors;
    await collect(pretrain(model, toyData(20), { epochs: 1.5, batchSize: 10 }));
    expect(told).toEqual([1, 2, 3].map((step) => ({ step, steps: 3, stepsPerEpoch: 2 })));
    expect(tf.memory().numTensors).toBe(before);
  });

  it("a teacher says its part in prepare, is never trained, and is asked for by name", async () => {
    const teacher = newModel();
    const roles: Teachers[] = [];
    const student = {
      ...toy,
      id: "student",
      teachers: { guide: "any model" },
      prepare: (config: never, samples: never, random: never, teachers: Teachers) => {
        roles.push(teachers);
        return toy.prepare(config, samples, random);
      },
    };
    const before = values(teacher);
    const model = createModel(student, {}, { seed: 4, teachers: { guide: teacher } });
    await collect(pretrain(model, toyData(20), { epochs: 1, batchSize: 10 }));
    expect(roles.map(({ guide }) => guide === teacher)).toEqual([true, true]);
    expect(values(teacher)).toEqual(before);
    const orphan = createModel(student, {});
    await expect(collect(pretrain(orphan, toyData(20)))).rejects.toThrow(
      "student: learns from a guide teacher and none is given; give any model as createModel's teachers.guide or by --teacher guide=FOLDER",
    );
    const odd = createModel(toy, {}, { teachers: { guide: teacher } });
    await expect(collect(pretrain(odd, toyData(20)))).rejects.toThrow("toy: has no guide teacher");
  });
});

describe("pretrain", () => {
  it("tells start, every step, every epoch and the end, in order", async () => {
    const events = await collect(pretrain(newModel(), toyData(21), { epochs: 2, batchSize: 10, blr: 0.256 }));
    expect(events.map(({ type }) => type).join(" ")).toBe("start step step epoch step step epoch end");
    expect(events[0]).toMatchObject({ step: 0, steps: 4, stepsPerEpoch: 2, batchSize: 10, parameters: 110 });
    expect(events[0]).toMatchObject({ lr: expect.closeTo(0.01, 12) });
    const steps = ofType(events, "step");
    expect(steps.map(({ step, epoch }) => [step, epoch])).toEqual([
      [1, 0.5],
      [2, 1],
      [3, 1.5],
      [4, 2],
    ]);
    for (const { loss, terms, gradNorm, samplesPerSecond } of steps) {
      expect(loss).toBeCloseTo(terms.masked! + 0.01 * terms.size!, 6);
      expect(gradNorm).toBeGreaterThan(0);
      expect(samplesPerSecond).toBeGreaterThan(0);
    }
    const [first] = ofType(events, "epoch");
    expect(first).toMatchObject({ epoch: 1, step: 2, loss: (steps[0]!.loss + steps[1]!.loss) / 2 });
    expect(first!.terms.size).toBeCloseTo((steps[0]!.terms.size! + steps[1]!.terms.size!) / 2, 12);
  });

  it("learns", async () => {
    const events = await collect(pretrain(newModel(), toyData(), { epochs: 60, batchSize: 20, lr: 0.02 }));
    const epochs = ofType(events, "epoch");
    expect(epochs.at(-1)!.loss).toBeLessThan(0.7 * epochs[0]!.loss);
  });

  it("follows MAE's schedule by fractional epoch", async () => {
    const options = { epochs: 4, warmupEpochs: 1, lr: 1, minLr: 0.1, batchSize: 20 };
    const lrs = ofType(await collect(pretrain(newModel(), toyData(), options)), "step").map(({ lr }) => lr);
    const cosine = (epoch: number) => 0.1 + 0.45 * (1 + Math.cos((Math.PI * (epoch - 1)) / 3));
    [0, 0.5, 1, cosine(1.5), cosine(2), cosine(2.5), cosine(3), cosine(3.5)].forEach((lr, i) => {
      expect(lrs[i]).toBeCloseTo(lr, 12);
    });
  });

  it("gives the same run for the same seed and another for another", async () => {
    const run = async (seed: number) => {
      const model = newModel();
      await collect(pretrain(model, toyData(40, { delay: 1 }), { epochs: 3, batchSize: 16, seed }));
      return values(model);
    };
    expect(await run(7)).toEqual(await run(7));
    expect(await run(8)).not.toEqual(await run(7));
  });

  it("takes an epoch in part, and a data set smaller than a batch", async () => {
    const part = await collect(pretrain(newModel(), toyData(40), { epochs: 0.5, batchSize: 10 }));
    expect(ofType(part, "step")).toHaveLength(2);
    expect(ofType(part, "epoch")).toMatchObject([{ epoch: 1, step: 2 }]);
    const small = await collect(pretrain(newModel(), toyData(3), { epochs: 4 }));
    expect(small[0]).toMatchObject({ batchSize: 3, stepsPerEpoch: 1, steps: 4 });
  });

  it("clips by the norm of all gradients", async () => {
    const moved = async (clip?: number) => {
      const model = newModel();
      const options = {
        epochs: 1,
        warmupEpochs: 0,
        optimizer: "sgd",
        momentum: 0,
        lr: 1,
        weightDecay: 0,
      } as const;
      const before = values(model).flat();
      const events = await collect(pretrain(model, toyData(), { ...options, clip }));
      const distance = Math.hypot(
        ...values(model)
          .flat()
          .map((value, i) => value - before[i]!),
      );
      return { gradNorm: ofType(events, "step")[0]!.gradNorm, moved: distance };
    };
    const free = await moved();
    expect(free.moved).toBeCloseTo(free.gradNorm, 5);
    expect((await moved(0.01)).moved).toBeCloseTo(0.01, 5);
  });

  it("accumulates to what one batch gives", async () => {
    const losses = async (accumulate: number) => {
      const options = { epochs: 5, batchSize: 16, lr: 0.02, accumulate };
      return ofType(await collect(pretrain(newModel(), toyData(), options)), "step").map(({ loss }) => loss);
    };
    const [whole, parts] = [await losses(1), await losses(5)];
    whole.forEach((loss, i) => {
      expect(parts[i]).toBeCloseTo(loss, 5);
    });
  });

  it("lists each sample that cannot be read once, when it is met", async () => {
    const events = await collect(
      pretrain(newModel(), toyData(40, { bad: [4, 30] }), { epochs: 3, batchSize: 8 }),
    );
    const skipped = ofType(events, "skipped");
    expect(skipped.map(({ index, count }) => [index, count]).sort()).toEqual([
      [30, expect.any(Number)],
      [4, expect.any(Number)],
    ]);
    expect(skipped.map(({ count }) => count)).toEqual([1, 2]);
    expect(
      ofType(events, "end")[0]!
        .skipped.map(({ sample, reason }) => `${sample} ${reason}`)
        .sort(),
    ).toEqual(["vector-30 is damaged", "vector-4 is damaged"]);
    const strict = collect(pretrain(newModel(), toyData(40, { bad: [4, 30] }), { epochs: 3, strict: true }));
    await expect(strict).rejects.toThrow(/^vector-(4|30): is damaged$/);
  });

  it("holds the number of tensors from step 2 on and releases its own at the end", async () => {
    const model = newModel();
    const before = tf.memory().numTensors;
    const counts: number[] = [];
    for await (const { type } of pretrain(model, toyData(40, { delay: 1 }), {
      epochs: 10,
      batchSize: 8,
      accumulate: 2,
    }))
      if (type === "step") counts.push(tf.memory().numTensors);
    expect(new Set(counts.slice(1)).size).toBe(1);
    expect(counts).toHaveLength(50);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("releases its own when the caller leaves the loop", async () => {
    const model = newModel();
    const before = tf.memory().numTensors;
    for (const last of ["start", "skipped", "step", "epoch"])
      for await (const event of pretrain(model, toyData(40, { bad: [4], delay: 1 }), { batchSize: 8 }))
        if (event.type === last) break;
    expect(tf.memory().numTensors).toBe(before);
  });

  it("lets timers and signals have their turn while it runs", async () => {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    const events = await collect(
      pretrain(newModel(), toyData(), { epochs: 1000, signal: controller.signal }),
    );
    expect(events.at(-1)).toMatchObject({ type: "stop", reason: "aborted" });
  });

  it("ends after the step in which it is aborted", async () => {
    const controller = new AbortController();
    const events: string[] = [];
    for await (const event of pretrain(newModel(), toyData(), { batchSize: 40, signal: controller.signal })) {
      events.push(event.type);
      if (event.type === "step" && event.step === 2) controller.abort();
    }
    expect(events.join(" ")).toBe("start step epoch step epoch stop");
  });

  it("names every bad option", async () => {
    const bad = { epochs: -1, batch: 3, checkpointEvery: { steps: 3 } };
    await expect(collect(pretrain(newModel(), toyData(), bad as object))).rejects.toThrow(
      /train: epochs: .*"batch".*checkpointEvery: .*"steps"|train: epochs: .*checkpointEvery: .*"steps".*"batch"/,
    );
    const parts = { batchSize: 4, accumulate: 5 };
    await expect(collect(pretrain(newModel(), toyData(), parts))).rejects.toThrow(/4 samples into 5 parts/);
    const decay = { layerDecay: 0.75 };
    await expect(collect(pretrain(newModel(), toyData(), decay))).rejects.toThrow(
      /layerDecay needs .*blocks\.0/,
    );
  });
});

describe("train", () => {
  const infinite = (terms: LossTerms, step: number): LossTerms =>
    step < 3 ? terms : { ...terms, total: tf.mul(terms.total, Number.POSITIVE_INFINITY).asScalar() };

  it("stops before an update by a loss that is not finite, and throws unless the caller leaves", async () => {
    const model = newModel();
    const before = tf.memory().numTensors;
    let good: number[][] = [];
    const run = async (leave: boolean) => {
      for await (const event of train(taskWith(model, infinite), toyData(), { lr: 0.01, warmupEpochs: 0 })) {
        if (event.type === "step") good = values(model);
        if (event.type === "stop") {
          expect(event).toMatchObject({ reason: "not finite", step: 2 });
          expect(event.message).toMatch(
            /loss is Infinity at step 3; nothing was saved; lower the learning rate/,
          );
          if (leave) break;
        }
      }
    };
    await run(true);
    expect(values(model)).toEqual(good);
    await expect(run(false)).rejects.toThrow(/loss is Infinity at step 3/);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("stops at gradients that are not finite under a finite loss", async () => {
    const model = newModel();
    const task = taskWith(model, (terms) => {
      const broken = tf.customGrad((x) => ({
        value: (x as tf.Tensor).clone(),
        gradFunc: (dy) => tf.mul(dy, Number.NaN),
      }));
      return { total: broken(terms.total).asScalar() };
    });
    await expect(collect(train(task, toyData()))).rejects.toThrow(/norm of the gradients is NaN at step 1/);
  });

  it("stops at a named part that is not finite, which no total may hide", async () => {
    const task = taskWith(newModel(), (terms) => ({ ...terms, size: tf.scalar(Number.NaN) }));
    await expect(collect(train(task, toyData()))).rejects.toThrow(/the size is NaN at step 1/);
  });

  it("scales the rate of each block by layer decay", async () => {
    const first = tf.variable(tf.scalar(1));
    const second = tf.variable(tf.scalar(1));
    const task: TrainTask<Float32Array, object> = {
      kind: "finetune",
      method: "toy",
      config: {},
      params: { blocks: [{ weight: first }, { weight: second }] },
      prepare: () => ({}),
      loss: () => ({ total: tf.add(first, second).asScalar() }),
    };
    const options = {
      epochs: 1,
      warmupEpochs: 0,
      optimizer: "sgd",
      momentum: 0,
      lr: 0.1,
      layerDecay: 0.5,
    } as const;
    await collect(train(task, toyData(), options));
    expect([first.dataSync()[0], second.dataSync()[0]]).toEqual([
      expect.closeTo(1 - 0.025, 6),
      expect.closeTo(1 - 0.05, 6),
    ]);
  });

  it("draws the views of an epoch anew and those of a step by its number", async () => {
    const seen: number[][] = [];
    const model = newModel();
    const task = taskWith(model, (terms) => terms);
    const watched = {
      ...task,
      prepare: (samples: readonly Float32Array[], random: ReturnType<typeof createRandom>) => {
        seen.push([samples[0]![0]!, random.child("look").uniform()]);
        return task.prepare(samples, random, []);
      },
    };
    await collect(train(watched, toyData(1), { epochs: 3 }));
    expect(new Set(seen.map(([view]) => view)).size).toBe(3);
    expect(new Set(seen.map(([, draw]) => draw)).size).toBe(3);
  });
});
