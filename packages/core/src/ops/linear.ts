/** y = f(x W^T + b) + residual: the product that nearly all time goes into. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { differentiable } from "./differentiable.js";
import { type Activation, activationKernel } from "./gelu.js";
import { kernel } from "./kernel.js";
import { layerNormGradKernel, layerNormKernel } from "./layer-norm.js";

type LinearInputs = { x: tf.Tensor; weight: tf.Tensor; bias?: tf.Tensor; residual?: tf.Tensor };

/**
 * `UnmaskLinear`: y = f(x W^T + b) + residual.
 * inputs x [..., I], weight [O, I], bias? [O], residual? [..., O]; attrs activation, slope;
 * outputs [y [..., O]], and with `slope` and an activation that is not "none" slope [..., O] = f' before the residual.
 */
export const linearKernel = kernel<LinearInputs, { activation: Activation; slope: boolean }>(
  "UnmaskLinear",
  ({ x, weight, bias, residual }, { activation, slope: wanted }) => {
    let y: tf.Tensor = tf.matMul(asRows(x), weight as tf.Tensor2D, false, true).reshape(mapped(x, weight));
    if (bias !== undefined) y = tf.add(y, bias);
    if (activation === "none") return [residual === undefined ? y : tf.add(y, residual)];
    const [value, slope] = activationKernel({ x: y }, { activation });
    const sum = residual === undefined ? value! : tf.add(value!, residual);
    return wanted ? [sum, slope!] : [sum];
  },
);

/**
 * `UnmaskLinearGrad`: gradients of `UnmaskLinear`; that of the residual is dy itself.
 * inputs dy [..., O], x [..., I], weight [O, I], slope? [..., O], and on the way back to x: inputSlope? [..., I], a factor
 * (the slope of the activation that made x), extra? [..., I], added; attrs bias, input: which to compute beside the
 * weight's; outputs [dweight [O, I], dbias [O] if bias, dx [..., I] if input].
 */
export const linearGradKernel = kernel<
  {
    dy: tf.Tensor;
    x: tf.Tensor;
    weight: tf.Tensor;
    slope?: tf.Tensor;
    inputSlope?: tf.Tensor;
    extra?: tf.Tensor;
  },
  { bias: boolean; input: boolean }
>("UnmaskLinearGrad", ({ dy, x, weight, slope, inputSlope, extra }, { bias, input }) => {
  const inner = asRows(slope === undefined ? dy : tf.mul(dy, slope));
  const grads: tf.Tensor[] = [tf.matMul(inner, asRows(x), true, false)];
  if (bias) grads.push(tf.matMul(tf.ones([1, inner.shape[0]]), inner).reshape([inner.shape[1]]));
  if (!input) return grads;
  let dx: tf.Tensor = tf.matMul(inner, weight as tf.Tensor2D).reshape(x.shape);
  if (inputSlope !== undefined) dx = tf.mul(dx, inputSlope);
  return [...grads, extra === undefined ? dx : tf.add(dx, extra)];
});

/** [..., D] -> [R, D] */
const asRows = (x: tf.Tensor): tf.Tensor2D => x.reshape([-1, x.shape[x.rank - 1]!]);

/** The shape that a weight [O, I] maps x [..., I] to. */
const mapped = (x: tf.Tensor, weight: tf.Tensor): number[] => [...x.shape.slice(0, -1), weight.shape[0]!];

/** Throws unless the residual, where there is one, has the shape of what the weight maps x to. */
export function checkResidual(
  name: string,
  residual: tf.Tensor | undefined,
  x: tf.Tensor,
  weight: tf.Tensor,
): void {
  expect(
    residual === undefined || tf.util.arraysEqual(residual.shape, mapped(x, weight)),
    () => `${name}: residual [${residual?.shape}] has not the shape of the result, [${mapped(x, weight)}]`,
  );
}

export interface Norm {
  /** [I]; absent without affine parameters */
  readonly weight?: tf.Tensor;
  /** [I] */
  readonly bias?: tf.Tensor;
  readonly epsilon: number;
}

export interface LinearOptions {
  /** Layer norm of x before the map; its result is computed again for the gradient rather than kept. */
  readonly norm?: Norm;
  readonly activation?: Activation;
  /** Added after the activation; same shape as the result. */
  readonly residual?: tf.Tensor;
  /** x is data: no gradient is computed for it. */
  readonly constantInput?: boolean;
}

/**
 * A linear map of the last axis, PyTorch's layout.
 * @param x [..., I]
 * @param weight [O, I]
 * @param bias [O]
 * @returns [..., O]
 */
export function linear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias?: tf.Tensor,
  options: LinearOptions = {},
): tf.Tensor {
  const { activation = "none", residual, constantInput = false, norm } = options;
  const [out, width] = weight.shape as [number, number];
  expect(
    norm === undefined || !constantInput,
    "linear: a norm of constant input has no use; normalise the data instead",
  );
  expect(
    weight.rank === 2 && x.shape[x.rank - 1] === width && (bias === undefined || bias.size === out),
    () =>
      `linear: weight [${weight.shape}] does not fit input [${x.shape}] and bias [${bias?.shape ?? "none"}]`,
  );
  checkResidual("linear", residual, x, weight);
  const inputs = {
    x: constantInput ? undefined : x,
    ...{ weight, bias, residual, normWeight: norm?.weight, normBias: norm?.bias },
  };
  return differentiable(inputs, (given, taped) => {
    const { x: input = x, weight, bias, residual, normWeight, normBias } = given;
    const normed = normalise(input, norm && { weight: normWeight, bias: normBias, epsilon: norm.epsilon });
    const [value, slope] = linearKernel(
      { x: normed.y, weight, bias, residual },
      { activation, slope: taped },
    );
    const { mean, rstd } = normed;
    return {
      value: value!,
      saved: { x: input, weight, slope, mean, rstd, normWeight, normBias },
      gradient: (dy, saved) => {
        const { y } = normaliseAgain(saved, norm);
        const [dweight, ...rest] = linearGradKernel(
          { dy, x: y, weight: saved.weight!, slope: saved.slope },
          { bias: bias !== undefined, input: !constantInput },
        );
        const dbias = bias && rest.shift();
        const dnormed = rest.shift();
        const dx = dnormed && normGradient(dnormed, saved, norm);
        return { ...dx, weight: dweight!, bias: dbias, residual: residual && dy.clone() };
      },
    };
  });
}

/** x itself without a norm. */
export function normalise(
  x: tf.Tensor,
  norm: Norm | undefined,
): { y: tf.Tensor; mean?: tf.Tensor; rstd?: tf.Tensor } {
  if (norm === undefined) return { y: x };
  const { weight, bias, epsilon } = norm;
  const [y, mean, rstd] = layerNormKernel({ x, weight, bias }, { epsilon });
  return { y: y!, mean, rstd };
}

/** What an operation that begins with a norm saves of it. */
interface SavedNorm {
  readonly x?: tf.Tensor;
  readonly mean?: tf.Tensor;
  readonly rstd?: tf.Tensor;
  readonly normWeight?: tf.Tensor;
  readonly normBias?: tf.Tensor;
}

/** The normalised input, computed again. */
export function normaliseAgain({ x, normWeight, normBias }: SavedNorm, norm: Norm | undefined) {
  return normalise(x!, norm && { weight: normWeight, bias: normBias, epsilon: norm.epsilon });
}

/**
 * Gradients of x, and of the norm's weight and bias where it has them, from that of the normalised input.
 * `extra` is added to x's.
 */
export function normGradient(
  dy: tf.Tensor,
  { x, mean, rstd, normWeight }: SavedNorm,
  norm: Norm | undefined,
  extra?: tf.Tensor,
): { x: tf.Tensor; normWeight?: tf.Tensor; normBias?: tf.Tensor } {
  if (norm === undefined) return { x: extra === undefined ? dy : tf.add(dy, extra) };
  const [dx, dweight, dbias] = layerNormGradKernel(
    { dy, x: x!, mean: mean!, rstd: rstd!, weight: normWeight, extra },
    { affine: normWeight !== undefined },
  );
  return { x: dx!, normWeight: dweight, normBias: dbias };
}
