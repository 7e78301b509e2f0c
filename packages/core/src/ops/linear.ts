/** y = f(x W^T + b) + residual: the product that nearly all time goes into. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { type Activation, activationKernel } from "./gelu.js";
import { kernel } from "./kernel.js";

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

export interface LinearOptions {
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
  const { activation = "none", residual, constantInput = false } = options;
  const [out, width] = weight.shape as [number, number];
  expect(
    weight.rank === 2 && x.shape[x.rank - 1] === width && (bias === undefined || bias.size === out),
    () =>
      `linear: weight [${weight.shape}] does not fit input [${x.shape}] and bias [${bias?.shape ?? "none"}]`,
  );
  const shape = [...x.shape.slice(0, -1), out];
  const rows = x.size / width;
  const flat = x.reshape([rows, width]);
  const flatResidual = residual?.reshape([rows, out]);

  const compute = (
    input: tf.Tensor,
    w: tf.Tensor,
    b: tf.Tensor | undefined,
    r: tf.Tensor | undefined,
    save: tf.GradSaveFunc,
  ) => {
    const [value, slope] = linearKernel({ x: input, weight: w, bias: b, residual: r }, { activation });
    save(slope === undefined ? [input, w] : [input, w, slope]);
    const gradFunc = (dy: tf.Tensor, [x, weight, slope]: tf.Tensor[]) => {
      const grads = linearGradKernel(
        { dy, x: x!, weight: weight!, slope },
        { bias: b !== undefined, input: !constantInput },
      );
      const [dweight, ...rest] = grads;
      const dbias = b === undefined ? [] : [rest[0]!];
      const dx = constantInput ? [] : [rest[rest.length - 1]!];
      return [...dx, dweight!, ...dbias, ...(r === undefined ? [] : [dy.clone()])];
    };
    return { value: value!, gradFunc };
  };

  const given = [
    ...(constantInput ? [] : [flat]),
    weight,
    ...(bias ? [bias] : []),
    ...(flatResidual ? [flatResidual] : []),
  ];
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const tensors = args as tf.Tensor[];
    const input = constantInput ? flat : tensors.shift()!;
    const w = tensors.shift()!;
    const b = bias === undefined ? undefined : tensors.shift()!;
    return compute(input, w, b, tensors.shift(), save);
  });
  return op(...given).reshape(shape);
}
