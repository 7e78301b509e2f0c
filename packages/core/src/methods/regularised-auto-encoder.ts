/**
 * What Regularized Auto-Encoders Learn from the Data-Generating Distribution. Alain, Bengio, JMLR 2014,
 * https://arxiv.org/abs/1211.4246
 *
 *   denoising:    loss = E || r(x + sigma e) - x ||^2,  e ~ N(0, I)
 *   contractive:  loss = E [ || r(x) - x ||^2 + sigma^2 || dr/dx ||_F^2 ]
 *
 * Both have, as sigma goes to 0, the optimum r(x) = x + sigma^2 grad log p(x) + o(sigma^2), so (r(x) - x) / sigma^2
 * estimates the score of the data's density, its line integral differences of energy, and Metropolis-Hastings with them
 * samples the density. r has one hidden layer of tanh and a linear output. The penalty contracts the whole of r, not its
 * encoder alone. No reference code is public; checks are the paper's closed forms.
 */
import * as tf from "@tensorflow/tfjs";
import { z } from "zod";
import { expect } from "../errors.js";
import type { EncodeOptions, LossTerms, Method } from "../method.js";
import { normal } from "../nn/init.js";
import { applyLinear, type LinearParams } from "../nn/linear.js";
import type { Random } from "../random.js";
import { tidy } from "../scope.js";
import { parameter } from "../tree.js";

export interface RegularisedAutoEncoderConfig {
  readonly width: number;
  readonly hidden: number;
  readonly tied: boolean;
  readonly regulariser: "denoising" | "contractive";
  readonly sigma: number;
  readonly penalty: "exact" | "projected" | "finite-difference";
  readonly finiteStep: number;
}

const count = z.int().positive();

const schema = z.strictObject({
  width: count.default(2).describe("entries of a vector"),
  hidden: count.default(100).describe("tanh units"),
  tied: z.boolean().default(false).describe("the output's weights are the hidden layer's, transposed"),
  regulariser: z
    .enum(["denoising", "contractive"])
    .default("denoising")
    .describe("noise on the input, or a penalty on the Jacobian"),
  sigma: z.number().positive().default(0.1).describe("deviation of the noise, root of the penalty's weight"),
  penalty: z
    .enum(["exact", "projected", "finite-difference"])
    .default("exact")
    .describe("the Jacobian whole, along one random direction (unbiased), or that by a difference of r"),
  finiteStep: z.number().positive().default(1e-2).describe('step of penalty "finite-difference"'),
}) satisfies z.ZodType<RegularisedAutoEncoderConfig>;

export interface RegularisedAutoEncoderParams {
  /** Weight [H, D]. */
  readonly encoder: LinearParams;
  /** Weight [D, H], bias [D]; the weight is absent where it is tied. */
  readonly decoder: { readonly weight?: tf.Variable; readonly bias: tf.Variable };
}

export interface VectorBatch {
  /** [B, D] */
  readonly x: tf.Tensor2D;
  /** [B, D] of N(0, 1): the noise, or the penalty's direction. */
  readonly noise: tf.Tensor2D;
}

function init(
  { width, hidden, tied }: RegularisedAutoEncoderConfig,
  random: Random,
): RegularisedAutoEncoderParams {
  const weights = (shape: [number, number]) => parameter(normal(1 / Math.sqrt(shape[1]))(shape, random));
  return {
    encoder: { weight: weights([hidden, width]), bias: parameter(tf.zeros([hidden])) },
    decoder: { ...(tied ? {} : { weight: weights([width, hidden]) }), bias: parameter(tf.zeros([width])) },
  };
}

function prepare(
  config: RegularisedAutoEncoderConfig,
  samples: readonly Float32Array[],
  random: Random,
): VectorBatch {
  const x = rows(config, samples);
  return { x, noise: tf.tensor2d(random.normals(x.size), x.shape) };
}

function rows({ width }: RegularisedAutoEncoderConfig, samples: readonly Float32Array[]): tf.Tensor2D {
  const values = new Float32Array(samples.length * width);
  samples.forEach((sample, i) => {
    expect(
      sample.length === width,
      () => `regularised-auto-encoder: expected vectors of ${width}, got one of ${sample.length}`,
    );
    values.set(sample, i * width);
  });
  return tf.tensor2d(values, [samples.length, width]);
}

function loss(
  params: RegularisedAutoEncoderParams,
  config: RegularisedAutoEncoderConfig,
  { x, noise }: VectorBatch,
): LossTerms {
  const { sigma } = config;
  switch (config.regulariser) {
    case "denoising":
      return { total: squaredDistance(reconstruction(params, tf.add(x, tf.mul(noise, sigma))), x) };
    case "contractive": {
      const error = squaredDistance(reconstruction(params, x), x);
      const contraction = tf.mul(jacobianNorm(params, config, x, noise), sigma ** 2) as tf.Scalar;
      return { total: tf.add(error, contraction) as tf.Scalar, reconstruction: error, contraction };
    }
  }
}

/** Mean over the rows of the squared length of a - b. */
function squaredDistance(a: tf.Tensor, b: tf.Tensor): tf.Scalar {
  return tf.mean(tf.sum(tf.squaredDifference(a, b), 1));
}

/** Mean over the rows of || dr/dx ||_F^2, or an estimate of it. */
function jacobianNorm(
  params: RegularisedAutoEncoderParams,
  { penalty, finiteStep }: RegularisedAutoEncoderConfig,
  x: tf.Tensor2D,
  direction: tf.Tensor2D,
): tf.Scalar {
  switch (penalty) {
    case "exact":
      return tf.mean(tf.sum(tf.square(jacobian(params, x)), [1, 2]));
    case "projected": {
      // J v = W2 (slope * (W1 v)); E |J v|^2 = |J|^2 for v ~ N(0, I)
      const through = tf.mul(
        tf.matMul(direction, params.encoder.weight as tf.Tensor2D, false, true),
        slope(params, x),
      );
      return tf.mean(tf.sum(tf.square(tf.matMul(through as tf.Tensor2D, outWeight(params), false, true)), 1));
    }
    case "finite-difference": {
      const moved = reconstruction(params, tf.add(x, tf.mul(direction, finiteStep)));
      const error = squaredDistance(moved, reconstruction(params, x));
      return tf.mul(error, 1 / finiteStep ** 2);
    }
  }
}

const outWeight = ({ encoder, decoder }: RegularisedAutoEncoderParams) =>
  (decoder.weight ?? tf.transpose(encoder.weight)) as tf.Tensor2D; // [D, H]

const hiddenOf = ({ encoder }: RegularisedAutoEncoderParams, x: tf.Tensor) =>
  tf.tanh(applyLinear(encoder, x)); // [B, H]

const slope = (params: RegularisedAutoEncoderParams, x: tf.Tensor) =>
  tf.sub(1, tf.square(hiddenOf(params, x)));

/** r(x): [B, D] -> [B, D] */
export function reconstruction(params: RegularisedAutoEncoderParams, x: tf.Tensor): tf.Tensor2D {
  const out = tf.matMul(hiddenOf(params, x) as tf.Tensor2D, outWeight(params), false, true);
  return tf.add(out, params.decoder.bias);
}

/** dr/dx at every row: [B, D] -> [B, D, D], derivatives of one output along the last axis. */
export function jacobian(params: RegularisedAutoEncoderParams, x: tf.Tensor2D): tf.Tensor3D {
  const [batch, width] = x.shape;
  const scaled = tf.mul(outWeight(params), tf.expandDims(slope(params, x), 1)); // [B, D, H]
  const flat = scaled.reshape([batch * width, -1]) as tf.Tensor2D;
  return tf.matMul(flat, params.encoder.weight as tf.Tensor2D).reshape([batch, width, width]);
}

/** (r(x) - x) / sigma^2, which estimates the gradient of log p: [B, D] -> [B, D] */
export function score(
  params: RegularisedAutoEncoderParams,
  { sigma }: RegularisedAutoEncoderConfig,
  x: tf.Tensor2D,
): tf.Tensor2D {
  return tf.tidy(() => tf.mul(tf.sub(reconstruction(params, x), x), 1 / sigma ** 2));
}

/** (dr/dx - I) / sigma^2, which estimates the Hessian of log p; not symmetric by itself. [B, D] -> [B, D, D] */
export function scoreJacobian(
  params: RegularisedAutoEncoderParams,
  { sigma, width }: RegularisedAutoEncoderConfig,
  x: tf.Tensor2D,
): tf.Tensor3D {
  return tf.tidy(() => tf.mul(tf.sub(jacobian(params, x), tf.eye(width)), 1 / sigma ** 2));
}

/**
 * E(b) - E(a) of the energy -log p, row by row: minus the score along the straight line from a to b, by the trapezoid rule.
 * @param steps pieces of the line; default 10
 * @returns [B]
 */
export function energyDifference(
  params: RegularisedAutoEncoderParams,
  config: RegularisedAutoEncoderConfig,
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  { steps = 10 }: { steps?: number } = {},
): tf.Tensor1D {
  expect(
    Number.isInteger(steps) && steps > 0,
    `energyDifference: steps must be a positive integer, got ${steps}`,
  );
  return tf.tidy(() => {
    const [rows, width] = a.shape;
    const along = tf.linspace(0, 1, steps + 1).reshape([1, steps + 1, 1]);
    const way = tf.sub(b, a);
    const points = tf.add(tf.expandDims(a, 1), tf.mul(tf.expandDims(way, 1), along)); // [B, K + 1, D]
    const field = score(params, config, points.reshape([rows * (steps + 1), width])).reshape(points.shape);
    const projected = tf.sum(tf.mul(field, tf.expandDims(way, 1)), 2); // [B, K + 1]
    const weights = tf.tensor1d(
      Array.from({ length: steps + 1 }, (_, i) => (i === 0 || i === steps ? 0.5 : 1) / steps),
    );
    return tf.neg(tf.sum(tf.mul(projected, weights), 1)) as tf.Tensor1D;
  });
}

export interface MetropolisOptions {
  readonly steps: number;
  /** Deviation of a proposal. Keep it of the order of sigma: far from the data r was never trained. */
  readonly proposal: number;
  /** Pieces of the line that an energy difference is integrated over; default 10. */
  readonly pieces?: number;
}

/**
 * Metropolis-Hastings chains whose energy differences come from the auto-encoder.
 * @param start [chains, D]; near the data, since spurious minima lie far from it
 * @returns every chain's state after each step, [steps, chains, D], and the share of proposals that were taken
 */
export function metropolis(
  params: RegularisedAutoEncoderParams,
  config: RegularisedAutoEncoderConfig,
  start: Float32Array,
  { steps, proposal, pieces }: MetropolisOptions,
  random: Random,
): { readonly states: Float32Array; readonly accepted: number } {
  const { width } = config;
  const chains = start.length / width;
  expect(
    Number.isInteger(chains) && chains > 0,
    `metropolis: ${start.length} values are no rows of ${width}`,
  );
  const states = new Float32Array(steps * start.length);
  let now = start.slice();
  let taken = 0;
  for (let step = 0; step < steps; step++) {
    const moves = random.normals(now.length);
    const next = now.map((value, i) => value + proposal * moves[i]!);
    const differences = tidy(() => {
      const shape: [number, number] = [chains, width];
      return energyDifference(params, config, tf.tensor2d(now, shape), tf.tensor2d(next, shape), {
        steps: pieces,
      }).dataSync();
    });
    now = now.slice();
    for (let chain = 0; chain < chains; chain++) {
      if (random.uniform() >= Math.exp(-differences[chain]!)) continue;
      taken++;
      now.set(next.subarray(chain * width, (chain + 1) * width), chain * width);
    }
    states.set(now, step * start.length);
  }
  return { states, accepted: taken / (steps * chains) };
}

function encode(
  params: RegularisedAutoEncoderParams,
  config: RegularisedAutoEncoderConfig,
  samples: readonly Float32Array[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean", `regularised-auto-encoder: a vector has one code; pool "${pool}" is not there`);
  return hiddenOf(params, rows(config, samples));
}

/** r of the vectors as they are, without noise. */
function reconstruct(
  params: RegularisedAutoEncoderParams,
  _: RegularisedAutoEncoderConfig,
  { x }: VectorBatch,
) {
  return reconstruction(params, x);
}

export const regularisedAutoEncoder = {
  id: "regularised-auto-encoder",
  modality: "vector",
  summary:
    "Denoising and contractive auto-encoders of vectors, whose reconstruction estimates the score of the data",
  paper: "Alain and Bengio, What Regularized Auto-Encoders Learn, JMLR 2014, arXiv 1211.4246",
  schema,
  presets: {},
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<
  RegularisedAutoEncoderConfig,
  Float32Array,
  VectorBatch,
  RegularisedAutoEncoderParams,
  tf.Tensor2D
>;
