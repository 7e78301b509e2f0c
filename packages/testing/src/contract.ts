/** What every method keeps to, on every engine: one call in each method's test. */
import * as tf from "@tensorflow/tfjs";
import {
  adamw,
  bindModel,
  type ConfigInput,
  createModel,
  createRandom,
  decayRules,
  disposeAll,
  encodeSafetensors,
  flatten,
  type LossTerms,
  type Method,
  type Model,
  parseSafetensors,
  type Random,
  readParameters,
  type Teachers,
  tidy,
  trainable,
  writeParameters,
} from "@unmask/core";
import { beforeAll, expect, it } from "vitest";
import { onEveryEngine } from "./engines.js";

export interface Contract<M extends Method, S> {
  readonly method: M;
  /** A small config; a step should take milliseconds on the slowest engine. */
  readonly config: ConfigInput<M>;
  /** Samples that fit the config, different for different draws. */
  samples(count: number, random: Random): S[];
  /** Frozen models for a method that learns from some; made once for each engine. */
  teachers?(): Teachers;
  /** Width of the features that `encode` returns by default. */
  readonly features: number;
  /** Share of the first loss that `steps` steps on one batch must get below. Default 0.5. */
  readonly overfits?: number;
  /** Default 60; fewer where a step takes long. */
  readonly steps?: number;
  /** Learning rate of those steps. Default 3e-3. */
  readonly lr?: number;
  /** Distance of the finite differences; default 1e-3. Less where weights are small and the loss has many kinks. */
  readonly differenceStep?: number;
  /** Trainable parameters that the loss does not reach, with the reason. */
  readonly unreached?: Readonly<Record<string, string>>;
  /**
   * The loss of a batch computed from predictions at every place, those at visible places replaced by noise.
   * Left out by methods that predict at hidden places only or score every place.
   */
  withNoiseAtVisible?(model: Model, batch: object, random: Random): tf.Scalar;
}

export async function contractSuite<M extends Method, S>(contract: Contract<M, S>): Promise<void> {
  const { method, config, features } = contract;
  const firstLosses: number[] = [];

  await onEveryEngine(`contract of ${method.id}`, () => {
    let model: Model<object, S>;
    let teachers: Teachers = {};
    const samples = contract.samples(4, createRandom(5));
    const create = (seed: number) =>
      createModel(method, config, { seed, teachers }) as unknown as Model<object, S>;
    const withBatch = <T>(body: (batch: object) => T, of = model): T => {
      const batch = of.prepare(samples, createRandom(6));
      const result = body(batch);
      disposeAll(batch);
      return result;
    };
    const lossOf = (of: Model<object, S>) => withBatch((batch) => total(of.loss(batch)), of);

    beforeAll(() => {
      teachers = contract.teachers?.() ?? {};
      model = create(1);
      return () => {
        for (const owned of [model, ...Object.values(teachers)]) owned.dispose();
      };
    });

    it("has a finite loss whose terms are scalars, the same on every engine", () => {
      const terms = withBatch((batch) => model.loss(batch));
      for (const [name, term] of Object.entries(terms)) {
        expect(term.shape, name).toEqual([]);
        expect(Number.isFinite(term.dataSync()[0]), name).toBe(true);
      }
      const loss = total(terms);
      firstLosses.push(loss);
      expect(Math.abs(loss - firstLosses[0]!) / Math.abs(firstLosses[0]!)).toBeLessThan(1e-5);
    });

    it("encodes whole samples to finite features", () => {
      const encoded = model.encode(samples);
      expect(encoded.shape).toEqual([samples.length, features]);
      expect(encoded.dataSync().every(Number.isFinite)).toBe(true);
      const single = model.encode(samples.slice(1, 2));
      const difference = tidy(() => tf.max(tf.abs(tf.sub(single, encoded.slice([1], [1])))).dataSync()[0]!);
      expect(difference).toBeLessThan(1e-4); // a sample's features do not depend on its neighbours
      disposeAll([encoded, single]);
    });

    it("gives every parameter the gradient that finite differences measure", () => {
      withBatch((batch) => {
        const { slope, missing } = directionalSlope(
          method,
          model,
          batch,
          createRandom(8),
          contract.differenceStep,
        );
        expect(missing.filter((path) => !(path in (contract.unreached ?? {})))).toEqual([]);
        expect(Math.abs(slope.numeric - slope.analytic) / Math.abs(slope.analytic)).toBeLessThan(1e-2);
      });
    });

    it("repeats itself with the same seed and differs with another", () => {
      const [again, other] = [create(1), create(2)];
      expect(lossOf(again)).toBe(lossOf(model));
      const [features, others] = [model.encode(samples), other.encode(samples)];
      expect(others.dataSync()).not.toEqual(features.dataSync());
      disposeAll([features, others]);
      for (const made of [again, other]) made.dispose();
    });

    it("learns one batch by heart", () => {
      const learner = create(3);
      withBatch((batch) => {
        const before = total(learner.loss(batch));
        descend(method, learner, batch, contract.steps ?? 60, contract.lr ?? 3e-3);
        expect(total(learner.loss(batch))).toBeLessThan(before * (contract.overfits ?? 0.5));
      }, learner);
      learner.dispose();
    });

    it("keeps no tensors", () => {
      const round = () => {
        withBatch((batch) => {
          disposeAll(model.loss(batch));
          descend(method, model, batch, 1, 0);
        });
        disposeAll(model.encode(samples));
        if (method.reconstruct !== undefined) disposeAll(model.reconstruct(samples, createRandom(4)));
      };
      round();
      const before = tf.memory().numTensors;
      round();
      expect(tf.memory().numTensors).toBe(before);
    });

    it("saves and loads to the same loss, to the bit", async () => {
      const saved = parseSafetensors(encodeSafetensors(await readParameters(model.params)));
      const other = create(2);
      writeParameters(other.params, saved.tensors);
      expect(lossOf(other)).toBe(lossOf(model));
      other.dispose();
    });

    const { withNoiseAtVisible } = contract;
    if (withNoiseAtVisible !== undefined)
      it("does not score predictions at visible places", () => {
        withBatch((batch) => {
          const noisy = tidy(() => withNoiseAtVisible(model, batch, createRandom(9)).dataSync()[0]!);
          const loss = total(model.loss(batch));
          expect(Math.abs(noisy - loss) / Math.abs(loss)).toBeLessThan(1e-5);
        });
      });
  });
}

const total = (terms: LossTerms): number => {
  const value = terms.total.dataSync()[0]!;
  disposeAll(terms);
  return value;
};

/** Gradient steps on one batch. */
function descend(method: Method, model: Model, batch: object, steps: number, lr: number): void {
  const variables = trainable(model.params);
  const optimizer = adamw({ rules: decayRules(0) });
  for (let step = 0; step < steps; step++) {
    const { value, grads } = tf.variableGrads(
      () => method.loss(model.params, model.config, batch).total,
      [...variables.values()],
    );
    const gradients = new Map<string, tf.Tensor>();
    for (const [path, { name }] of variables) if (grads[name] !== undefined) gradients.set(path, grads[name]);
    optimizer.step(variables, gradients, { lr });
    disposeAll([value, grads]);
  }
  optimizer.dispose();
}

/** The slope of the loss along one random direction of all trainable parameters, and the parameters without a gradient. */
function directionalSlope(method: Method, model: Model, batch: object, random: Random, step = 1e-3) {
  const moved = bindModel(method, model.config, method.init(model.config, createRandom(0)));
  const loss = () => total(tidy(() => method.loss(moved.params, model.config, batch)));
  const result = tidy(() => {
    const variables = trainable(model.params);
    const { grads } = tf.variableGrads(
      () => method.loss(model.params, model.config, batch).total,
      [...variables.values()],
    );
    const missing = [...variables].flatMap(([path, { name }]) => {
      const gradient = grads[name];
      return gradient === undefined || tf.max(tf.abs(gradient)).dataSync()[0] === 0 ? [path] : [];
    });
    // Along the sign of the gradient plus noise the slope is far from zero, so that rounding does not drown it.
    const direction = new Map(
      [...variables].map(([path, { name, shape, size }]): [string, tf.Tensor] => {
        const noise = tf.tensor(random.normals(size), shape);
        const gradient = grads[name];
        return [path, gradient === undefined ? noise : tf.add(tf.sign(gradient), tf.mul(noise, 0.5))];
      }),
    );
    let analytic = 0;
    for (const [path, { name }] of variables)
      if (grads[name] !== undefined)
        analytic += tf.sum(tf.mul(grads[name], direction.get(path)!)).dataSync()[0]!;
    const target = flatten(moved.params);
    const at = (distance: number) => {
      for (const [path, variable] of flatten(model.params)) {
        const along = direction.get(path);
        target
          .get(path)!
          .assign(along === undefined ? variable.clone() : tf.add(variable, tf.mul(along, distance)));
      }
      return loss();
    };
    const central = (h: number) => (at(h) - at(-h)) / (2 * h);
    const numeric = (4 * central(step / 2) - central(step)) / 3; // Richardson: the cubic term of the loss cancels
    return { slope: { analytic, numeric }, missing };
  });
  moved.dispose();
  return result;
}
