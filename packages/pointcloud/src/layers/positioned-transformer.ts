/** What Point-MAE and MAE3D do with positions: a small network makes them of centres, and every block adds them again. */
import * as tf from "@tensorflow/tfjs";
import {
  type Activation,
  applyLinear,
  applyTransformer,
  type BlockParams,
  type Initializer,
  initLinear,
  type LinearParams,
  linear,
  parameter,
  type Random,
  type TransformerOptions,
  uniform,
} from "@unmask/core";

export interface PositionParams {
  readonly 0: LinearParams;
  readonly 2: LinearParams;
}

/** 3 -> hidden -> width. Without `init` weights and biases are as PyTorch starts its linear layers. */
export function initPositions(
  random: Random,
  hidden: number,
  width: number,
  init?: Initializer,
): PositionParams {
  const layer = (input: number, out: number) =>
    init === undefined ? initDefaultLinear(random, input, out) : initLinear(random, input, out, { init });
  return { 0: layer(3, hidden), 2: layer(hidden, width) };
}

/** How PyTorch starts a linear layer: weight and bias uniform in +-1 / sqrt(in). */
export function initDefaultLinear(
  random: Random,
  input: number,
  out: number,
  { bias = true }: { bias?: boolean } = {},
): LinearParams {
  const draw = uniform(1 / Math.sqrt(input));
  const weight = parameter(draw([out, input], random));
  return bias ? { weight, bias: parameter(draw([out], random)) } : { weight };
}

/** [B, G, 3] -> [B, G, D] */
export function applyPositions(
  params: PositionParams,
  centres: tf.Tensor,
  activation: Activation = "gelu",
): tf.Tensor3D {
  const { 0: first, 2: second } = params;
  const hidden = linear(centres, first.weight, first.bias, { activation, constantInput: true });
  return applyLinear(second, hidden) as tf.Tensor3D;
}

/** Each block sees its input plus the positions: x = block(x + pos). [B, N, D] -> [B, N, D] */
export function applyPositionedTransformer(
  blocks: readonly BlockParams[],
  x: tf.Tensor,
  positions: tf.Tensor,
  { dropPath, onBlock, ...options }: Omit<TransformerOptions, "wanted">,
): tf.Tensor3D {
  let tokens = x;
  blocks.forEach((block, index) => {
    const own = dropPath && {
      batch: dropPath.batch,
      scales: dropPath.scales.subarray(2 * index * dropPath.batch, 2 * (index + 1) * dropPath.batch),
    };
    tokens = applyTransformer([block], tf.add(tokens, positions), { ...options, dropPath: own });
    onBlock?.(index, tokens);
  });
  return tokens as tf.Tensor3D;
}
