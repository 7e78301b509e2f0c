/** MindEye's networks for vectors (Scotti et al., arXiv 2305.18274): a residual MLP, and a projector of tokens. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  dropout,
  gelu,
  initLayerNorm,
  type LayerNormParams,
  type LinearParams,
  type Random,
} from "@unmask/core";
import { initTorchLinear } from "./torch-linear.js";

const EPSILON = 1e-5;

/** Linear, norm; GELU and dropout follow. */
interface LayerParams {
  readonly "0": LinearParams;
  readonly "1": LayerNormParams;
}

export interface ResidualMlpParams {
  readonly lin0: LayerParams;
  readonly mlp: readonly LayerParams[];
  readonly lin1: LinearParams;
}

export interface ResidualMlpConfig {
  /** Values of the vector. */
  readonly voxels: number;
  readonly hidden: number;
  readonly blocks: number;
  /** After the first layer, and in the blocks. */
  readonly dropout: number;
  readonly blockDropout: number;
}

export function initResidualMlp(random: Random, config: ResidualMlpConfig, out: number): ResidualMlpParams {
  const { voxels, hidden, blocks } = config;
  const layer = (from: number): LayerParams => ({
    "0": initTorchLinear(random, from, hidden),
    "1": initLayerNorm(hidden),
  });
  return {
    lin0: layer(voxels),
    mlp: Array.from({ length: blocks }, () => layer(hidden)),
    lin1: initTorchLinear(random, hidden, out),
  };
}

/** [B, V] -> [B, out]; with a seed, dropout as in training. */
export function applyResidualMlp(
  { lin0, mlp, lin1 }: ResidualMlpParams,
  config: ResidualMlpConfig,
  vectors: tf.Tensor2D,
  seed?: number,
): tf.Tensor2D {
  const drop = (x: tf.Tensor, rate: number, layer: number) =>
    seed === undefined ? x : dropout(x, rate, (seed + layer) >>> 0);
  const apply = (layer: LayerParams, x: tf.Tensor) =>
    gelu(applyLayerNorm(layer["1"], applyLinear(layer["0"], x), EPSILON));
  let x = drop(apply(lin0, vectors), config.dropout, 0);
  mlp.forEach((layer, i) => {
    x = tf.add(x, drop(apply(layer, x), config.blockDropout, i + 1));
  });
  return applyLinear(lin1, x) as tf.Tensor2D;
}

/** Three times norm, GELU, linear: the names are places in the reference's sequence. */
export type ProjectorParams = Readonly<Record<"0" | "3" | "6", LayerNormParams>> &
  Readonly<Record<"2" | "5" | "8", LinearParams>>;

export const initProjector = (random: Random, width: number, hidden: number): ProjectorParams => ({
  "0": initLayerNorm(width),
  "2": initTorchLinear(random, width, hidden),
  "3": initLayerNorm(hidden),
  "5": initTorchLinear(random, hidden, hidden),
  "6": initLayerNorm(hidden),
  "8": initTorchLinear(random, hidden, width),
});

/** [..., D] -> [..., D] */
export function applyProjector(params: ProjectorParams, tokens: tf.Tensor3D): tf.Tensor3D {
  const step = (norm: LayerNormParams, linear: LinearParams, x: tf.Tensor) =>
    applyLinear(linear, gelu(applyLayerNorm(norm, x, EPSILON)));
  const wide = step(params["3"], params["5"], step(params["0"], params["2"], tokens));
  return step(params["6"], params["8"], wide) as tf.Tensor3D;
}
