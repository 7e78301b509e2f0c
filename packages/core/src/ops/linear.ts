/** y = f(x W^T + b) + residual: the product that nearly all time goes into. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { type Activation, activationKernel } from "./gelu.js";
import { kernel } from "./kernel.js";
import { layerNormGradKernel, layerNormKernel } from "./layer-norm.js";

type LinearInputs = { x: tf.Tensor; weight: tf.Tensor; bias?: tf.Tensor; residual?: tf.Tensor };

/**
 * `UnmaskLinear`: y = f(x W^T + b) + residual.
 * inputs x [R, I], weight [O, I], bias? [O], residual? [R, O]; attrs activation;
 * outputs [y [R, O]] when activation is "none", else [y, slope [R, O]] with slope = f' before the residual.
 */
const linearKernel = kernel<LinearInputs, { activation: Activation }>(
  "UnmaskLinear",
  ({ x, weight, bias, residual }, { activation }) => {
    let y: tf.Tensor = tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D, false, true);
    if (bias !== undefined) y = tf.add(y, bias);
    if (activation === "none") return [residual === undefined ? y : tf.add(y, residual)];
    const [value, slope] = activationKernel({ x: y }, { activation });
    return [residual === undefined ? value! : tf.add(value!, residual), slope!];
  },
);

/**
 * `UnmaskLinearGrad`: gradients of `UnmaskLinear`; that of the residual is dy itself.
 * inputs dy [R, O], x [R, I], weight [O, I], slope? [R, O]; attrs bias, input: which to compute beside the weight's;
 * outputs [dweight [O, I], dbias [O] if bias, dx [R, I] if input].
 */
const linearGradKernel = kernel<
  { dy: tf.Tensor; x: tf.Tensor; weight: tf.Tensor; slope?: tf.Tensor },
  { bias: boolean; input: boolean }
>("UnmaskLinearGrad", ({ dy, x, weight, slope }, { bias, input }) => {
  const inner = (slope === undefined ? dy : tf.mul(dy, slope)) as tf.Tensor2D;
  const grads: tf.Tensor[] = [tf.matMul(inner, x as tf.Tensor2D, true, false)];
  if (bias) grads.push(tf.matMul(tf.ones([1, inner.shape[0]]), inner).reshape([inner.shape[1]]));
  if (input) grads.push(tf.matMul(inner, weight as tf.Tensor2D));
  return grads;
});

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
  const shape = [...x.shape.slice(0, -1), out];
  const rows = x.size / width;
  const flat = x.reshape([rows, width]);

  const affine = norm?.weight !== undefined && norm.bias !== undefined;
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const take = (there: boolean) => (there ? (args.shift() as tf.Tensor) : undefined);
    const [input, w] = [take(!constantInput) ?? flat, take(true)!];
    const [b, r] = [take(bias !== undefined), take(residual !== undefined)];
    const [normWeight, normBias] = [take(affine), take(affine)];
    const normed = normalise(input, norm && { weight: normWeight, bias: normBias, epsilon: norm.epsilon });
    const [value, slope] = linearKernel({ x: normed.y, weight: w, bias: b, residual: r }, { activation });
    const { mean, rstd } = normed;
    const store = createStore({ x: input, weight: w, slope, mean, rstd, normWeight, normBias });
    save(store.tensors);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const { x, weight, slope, mean, rstd, normWeight, normBias } = store.named(saved);
      const { y } = normalise(x!, norm && { weight: normWeight, bias: normBias, epsilon: norm.epsilon });
      const grads = linearGradKernel(
        { dy, x: y, weight: weight!, slope },
        { bias: bias !== undefined, input: !constantInput },
      );
      const [dweight, dbias] = [grads.shift()!, bias === undefined ? [] : [grads.shift()!]];
      const dresidual = residual === undefined ? [] : [dy.clone()];
      if (norm === undefined) return [...grads, dweight, ...dbias, ...dresidual];
      const [dx, ...dnorm] = layerNormGradKernel(
        { dy: grads[0]!, x: x!, mean: mean!, rstd: rstd!, weight: normWeight },
        { affine },
      );
      return [dx!, dweight, ...dbias, ...dresidual, ...dnorm];
    };
    return { value: value!, gradFunc };
  });
  const given = [
    constantInput ? undefined : flat,
    ...[weight, bias, residual?.reshape([rows, out])],
    ...(affine ? [norm.weight, norm.bias] : []),
  ];
  return op(...given.filter((tensor) => tensor !== undefined)).reshape(shape);
}

/** x itself without a norm. */
function normalise(
  x: tf.Tensor,
  norm: Norm | undefined,
): { y: tf.Tensor; mean?: tf.Tensor; rstd?: tf.Tensor } {
  if (norm === undefined) return { y: x };
  const { weight, bias, epsilon } = norm;
  const [y, mean, rstd] = layerNormKernel({ x, weight, bias }, { epsilon });
  return { y: y!, mean, rstd };
}

/** Tensors by name as the list that the tape saves, and back. */
function createStore<K extends string>(all: Record<K, tf.Tensor | undefined>) {
  const entries = (Object.entries(all) as [K, tf.Tensor | undefined][]).filter(
    ([, tensor]) => tensor !== undefined,
  );
  return {
    tensors: entries.map(([, tensor]) => tensor!),
    named: (saved: readonly tf.Tensor[]) =>
      Object.fromEntries(entries.map(([name], i) => [name, saved[i]])) as Record<K, tf.Tensor | undefined>,
  };
}
