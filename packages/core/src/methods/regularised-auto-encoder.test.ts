import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, it } from "vitest";
import { contractSuite } from "../../../testing/src/contract.js";
import { createModel, type ModelOf } from "../model.js";
import { createRandom } from "../random.js";
import { disposeAll } from "../scope.js";
import {
  energyDifference,
  jacobian,
  metropolis,
  reconstruction,
  regularisedAutoEncoder,
  score,
} from "./regularised-auto-encoder.js";

const vectors = (count: number, random: ReturnType<typeof createRandom>) =>
  Array.from({ length: count }, () => random.normals(3));

for (const extra of [
  { regulariser: "denoising" },
  { regulariser: "contractive", penalty: "exact", tied: true },
  { regulariser: "contractive", penalty: "projected" },
  { regulariser: "contractive", penalty: "finite-difference" },
] as const)
  await contractSuite({
    method: regularisedAutoEncoder,
    config: { width: 3, hidden: 8, sigma: 0.1, ...extra },
    samples: vectors,
    features: 8,
    overfits: 0.5,
    lr: 0.02,
  });

beforeAll(() => tf.setBackend("cpu"));

const SIGMA = 0.5;

/** r(x) = w x in one dimension, to a millionth: tanh is straight near 0. */
function straight(w: number, config: { regulariser?: "denoising" | "contractive" } = {}) {
  const model = createModel(regularisedAutoEncoder, { width: 1, hidden: 1, sigma: SIGMA, ...config });
  const small = 1e-3;
  model.params.encoder.weight.assign(tf.tensor2d([[small]]));
  model.params.decoder.weight!.assign(tf.tensor2d([[w / small]]));
  return model;
}

/** The best r of data N(0, 1). */
const best = 1 / (1 + SIGMA ** 2);

describe("regularised auto-encoder on N(0, 1), by the paper's closed forms", () => {
  it("denoising and contraction have the same optimum", () => {
    // Four pairs whose moments are those of the distributions: E x = E e = E x e = 0, E x^2 = E e^2 = 1.
    const batch = { x: tf.tensor2d([1, 1, -1, -1], [4, 1]), noise: tf.tensor2d([1, -1, 1, -1], [4, 1]) };
    for (const regulariser of ["denoising", "contractive"] as const) {
      const at = (w: number) => {
        const model = straight(w, { regulariser });
        const terms = model.loss(batch);
        const value = terms.total.dataSync()[0]!;
        disposeAll(terms);
        model.dispose();
        return value;
      };
      expect(at(best)).toBeCloseTo((1 - best) ** 2 + SIGMA ** 2 * best ** 2, 4);
      const slope = (at(best + 0.1) - at(best - 0.1)) / 0.2;
      expect(Math.abs(slope)).toBeLessThan(1e-3);
      expect(at(best + 0.1)).toBeGreaterThan(at(best) + 1e-3);
    }
  });

  it("gives the score, differences of energy, and samples of the smoothed density", () => {
    const model = straight(best);
    const variance = 1 + SIGMA ** 2; // of x + sigma e, whose score r gives exactly
    const x = tf.tensor2d([-2, 0.5, 3], [3, 1]);
    [...score(model.params, model.config, x).dataSync()].forEach((value, i) => {
      expect(value).toBeCloseTo(-[-2, 0.5, 3][i]! / variance, 3);
    });
    const [a, b] = [tf.tensor2d([0, 1], [2, 1]), tf.tensor2d([2, -1.5], [2, 1])];
    const differences = energyDifference(model.params, model.config, a, b, { steps: 3 }).dataSync();
    expect(differences[0]).toBeCloseTo(4 / (2 * variance), 3);
    expect(differences[1]).toBeCloseTo((2.25 - 1) / (2 * variance), 3);

    const { states, accepted } = metropolis(
      model.params,
      model.config,
      new Float32Array(256),
      { steps: 300, proposal: 1, pieces: 1 },
      createRandom(4),
    );
    const late = states.subarray(100 * 256);
    const mean = late.reduce((sum, value) => sum + value, 0) / late.length;
    const spread = late.reduce((sum, value) => sum + value ** 2, 0) / late.length;
    expect(Math.abs(mean)).toBeLessThan(0.05);
    expect(Math.abs(spread / variance - 1)).toBeLessThan(0.05);
    expect(accepted).toBeGreaterThan(0.6);
    expect(accepted).toBeLessThan(0.85);
    model.dispose();
  });
});

describe("the penalty", () => {
  type Vectors = ModelOf<typeof regularisedAutoEncoder>;
  const create = (penalty: "exact" | "projected" | "finite-difference"): Vectors =>
    createModel(
      regularisedAutoEncoder,
      {
        width: 3,
        hidden: 6,
        regulariser: "contractive",
        sigma: 1,
        penalty,
        finiteStep: 1e-3,
      },
      { seed: 2 },
    );
  const x = () => tf.tensor2d(createRandom(1).normals(3), [1, 3]);

  it("is the squared length of the Jacobian, which differences of r measure", () => {
    const model = create("exact");
    const { params } = model;
    const at = x();
    const rows = [0, 1, 2].map((axis) => {
      const h = tf.tensor2d(
        [0, 1, 2].map((i) => (i === axis ? 1e-2 : 0)),
        [1, 3],
      );
      return [
        ...tf
          .div(tf.sub(reconstruction(params, tf.add(at, h)), reconstruction(params, tf.sub(at, h))), 2e-2)
          .dataSync(),
      ];
    });
    const J = jacobian(params, at).dataSync();
    for (let out = 0; out < 3; out++)
      for (let into = 0; into < 3; into++) expect(J[out * 3 + into]).toBeCloseTo(rows[into]![out]!, 3);
    model.dispose();
  });

  it("along random directions is right on average, and by differences nearly so", () => {
    const of = (penalty: "exact" | "projected" | "finite-difference") => {
      const model = create(penalty);
      const count = 20_000;
      const batch = {
        x: tf.tile(x(), [count, 1]) as tf.Tensor2D,
        noise: tf.tensor2d(createRandom(7).normals(3 * count), [count, 3]),
      };
      const terms = model.loss(batch);
      const value = terms.contraction!.dataSync()[0]!;
      disposeAll([terms, batch]);
      model.dispose();
      return value;
    };
    const exact = of("exact");
    expect(Math.abs(of("projected") / exact - 1)).toBeLessThan(0.03);
    expect(Math.abs(of("finite-difference") / of("projected") - 1)).toBeLessThan(0.01);
  });
});
