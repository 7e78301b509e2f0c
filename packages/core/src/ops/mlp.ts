/**
 * y = f(x W1^T + b1) W2^T + b2 + residual, as one operation: of the hidden layer, the widest tensor of a transformer, only
 * what the activation is given is kept for the gradient; its value and slope are computed again.
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { type Activation, activationKernel } from "./gelu.js";
import { kernel } from "./kernel.js";

type Layers = {
  /** [H, I] */
  weight1: tf.Tensor;
  /** [H] */
  bias1?: tf.Tensor;
  /** [O, H] */
  weight2: tf.Tensor;
  /** [O] */
  bias2?: tf.Tensor;
};

const matMul = (a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false) =>
  tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, transposeA, transposeB);

const plus = (x: tf.Tensor, term: tf.Tensor | undefined) => (term === undefined ? x : tf.add(x, term));

/**
 * `UnmaskMlp`: inputs x [R, I], weight1 [H, I], bias1? [H], weight2 [O, H], bias2? [O], residual? [R, O]; attrs activation;
 * outputs [y [R, O], hidden [R, H]: what the activation is given].
 */
const mlpKernel = kernel<Layers & { x: tf.Tensor; residual?: tf.Tensor }, { activation: Activation }>(
  "UnmaskMlp",
  ({ x, weight1, bias1, weight2, bias2, residual }, { activation }) => {
    const hidden = plus(matMul(x, weight1, false, true), bias1);
    const [value] = activationKernel({ x: hidden }, { activation });
    return [plus(plus(matMul(value!, weight2, false, true), bias2), residual), hidden];
  },
);

/**
 * `UnmaskMlpGrad`: gradients of `UnmaskMlp`; that of the residual is dy itself.
 * inputs dy [R, O], x [R, I], weight1 [H, I], weight2 [O, H], hidden [R, H]; attrs activation, bias1, bias2: which there are;
 * outputs [dx [R, I], dweight1 [H, I], dbias1 [H] if there, dweight2 [O, H], dbias2 [O] if there].
 */
const mlpGradKernel = kernel<
  { dy: tf.Tensor; x: tf.Tensor; weight1: tf.Tensor; weight2: tf.Tensor; hidden: tf.Tensor },
  { activation: Activation; bias1: boolean; bias2: boolean }
>("UnmaskMlpGrad", ({ dy, x, weight1, weight2, hidden }, { activation, bias1, bias2 }) => {
  const [value, slope] = activationKernel({ x: hidden }, { activation });
  const dhidden = tf.mul(matMul(dy, weight2), slope!); // [R, H]
  return [
    matMul(dhidden, weight1),
    matMul(dhidden, x, true),
    ...(bias1 ? [columnSums(dhidden)] : []),
    matMul(dy, value!, true),
    ...(bias2 ? [columnSums(dy)] : []),
  ];
});

const columnSums = (x: tf.Tensor) => matMul(tf.ones([1, x.shape[0]!]), x).reshape([x.shape[1]!]);

/**
 * Two linear layers with an activation between them.
 * @param x [..., I]
 * @param residual [..., O], added to the result
 * @returns [..., O]
 */
export function mlp(
  x: tf.Tensor,
  { weight1, bias1, weight2, bias2 }: Layers,
  { activation = "gelu", residual }: { activation?: Activation; residual?: tf.Tensor } = {},
): tf.Tensor {
  const [hidden, width] = weight1.shape as [number, number];
  const out = weight2.shape[0]!;
  expect(
    x.shape.at(-1) === width && weight2.shape[1] === hidden,
    () => `mlp: weights [${weight1.shape}] and [${weight2.shape}] do not fit input [${x.shape}]`,
  );
  const rows = x.size / width;
  const optional = [bias1, bias2, residual?.reshape([rows, out])];
  const op = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const [flat, w1, w2, ...rest] = args as [tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
    const [b1, b2, r] = optional.map((given) => (given === undefined ? undefined : rest.shift()));
    const [value, inner] = mlpKernel(
      { x: flat, weight1: w1, bias1: b1, weight2: w2, bias2: b2, residual: r },
      { activation },
    );
    save([flat, w1, w2, inner!]);
    const gradFunc = (dy: tf.Tensor, [x, weight1, weight2, hidden]: tf.Tensor[]) => {
      const has = { bias1: bias1 !== undefined, bias2: bias2 !== undefined };
      const grads = mlpGradKernel(
        { dy, x: x!, weight1: weight1!, weight2: weight2!, hidden: hidden! },
        { activation, ...has },
      );
      const [dx, dw1] = [grads.shift()!, grads.shift()!];
      const db1 = has.bias1 ? [grads.shift()!] : [];
      const [dw2, ...db2] = grads;
      return [dx, dw1, dw2!, ...db1, ...db2, ...(residual === undefined ? [] : [dy.clone()])];
    };
    return { value: value!, gradFunc };
  });
  const given = [x.reshape([rows, width]), weight1, weight2, ...optional.filter((t) => t !== undefined)];
  return op(...given).reshape([...x.shape.slice(0, -1), out]);
}
