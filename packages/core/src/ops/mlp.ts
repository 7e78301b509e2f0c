/** residual + f(norm(x) W1^T + b1) W2^T + b2, the second branch of a transformer block, with one gradient. */
import type * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { differentiable } from "./differentiable.js";
import type { Activation } from "./gelu.js";
import {
  checkResidual,
  linearGradKernel,
  linearKernel,
  type Norm,
  normalise,
  normaliseAgain,
  normGradient,
} from "./linear.js";

export interface Affine {
  /** [O, I] */
  readonly weight: tf.Tensor;
  /** [O] */
  readonly bias?: tf.Tensor;
}

export interface MlpOptions {
  readonly activation: Activation;
  /** Layer norm of x first; its result is computed again for the gradient rather than kept. */
  readonly norm?: Norm;
  /** Added to the result, whose shape it has; often x itself. */
  readonly residual?: tf.Tensor;
}

/**
 * @param x [..., I]
 * @param first [H, I]
 * @param second [O, H]
 * @returns [..., O]
 */
export function mlp(x: tf.Tensor, first: Affine, second: Affine, options: MlpOptions): tf.Tensor {
  const { activation, norm, residual } = options;
  const [hidden, width] = first.weight.shape as [number, number];
  expect(
    x.shape[x.rank - 1] === width && second.weight.shape[1] === hidden,
    () => `mlp: weights [${first.weight.shape}] and [${second.weight.shape}] do not fit input [${x.shape}]`,
  );
  checkResidual("mlp", residual, x, second.weight);
  const onto = residual === x ? "x" : "residual";
  const inputs = {
    x,
    ...{ weight1: first.weight, bias1: first.bias, weight2: second.weight, bias2: second.bias },
    residual: onto === "residual" ? residual : undefined,
    ...{ normWeight: norm?.weight, normBias: norm?.bias },
  };
  return differentiable(inputs, (given, taped) => {
    const { x, weight1, bias1, weight2, bias2, residual, normWeight, normBias } = given;
    const { y, mean, rstd } = normalise(x, norm && { ...norm, weight: normWeight, bias: normBias });
    const [hidden, slope] = linearKernel(
      { x: y, weight: weight1, bias: bias1 },
      { activation, slope: taped },
    );
    const [value] = linearKernel(
      { x: hidden!, weight: weight2, bias: bias2, residual: onto === "x" ? x : residual },
      { activation: "none", slope: false },
    );
    return {
      value: value!,
      saved: { x, weight1, weight2, hidden, slope, mean, rstd, normWeight, normBias },
      gradient: (dy, saved) => {
        const [dweight2, ...rest2] = linearGradKernel(
          { dy, x: saved.hidden!, weight: saved.weight2!, inputSlope: saved.slope },
          { bias: bias2 !== undefined, input: true },
        );
        const dbias2 = bias2 && rest2.shift();
        const extra = onto === "x" ? dy : undefined;
        const [dweight1, ...rest1] = linearGradKernel(
          {
            ...{ dy: rest2[0]!, x: normaliseAgain(saved, norm).y, weight: saved.weight1! },
            extra: norm === undefined ? extra : undefined,
          },
          { bias: bias1 !== undefined, input: true },
        );
        const dbias1 = bias1 && rest1.shift();
        const dx = norm === undefined ? { x: rest1[0]! } : normGradient(rest1[0]!, saved, norm, extra);
        return {
          ...dx,
          ...{ weight1: dweight1, bias1: dbias1, weight2: dweight2, bias2: dbias2 },
          residual: residual && dy.clone(),
        };
      },
    };
  });
}
