/** Patch embedding: a convolution whose kernel is its stride, computed as one product over cut patches. */
import * as tf from "@tensorflow/tfjs";
import { linear } from "../ops/linear.js";
import type { Random } from "../random.js";
import { parameter } from "../tree.js";
import { type Initializer, uniform, xavierUniform } from "./init.js";

export interface PatchEmbedParams {
  readonly proj: {
    /** [D, C, ...patch], the layout of a PyTorch convolution. */
    readonly weight: tf.Variable;
    /** [D] */
    readonly bias: tf.Variable;
  };
}

/** Weights as given (default: xavier-uniform on [D, the rest]), the bias as PyTorch's convolutions start it: uniform in +-1/sqrt(fan in). */
export function initPatchEmbed(
  random: Random,
  {
    patch,
    channels,
    width,
    init = xavierUniform,
  }: { patch: readonly number[]; channels: number; width: number; init?: Initializer },
): PatchEmbedParams {
  const shape = [width, channels, ...patch];
  const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
  return {
    proj: {
      weight: parameter(init(shape, random)),
      bias: parameter(uniform(1 / Math.sqrt(fanIn))([width], random)),
    },
  };
}

/**
 * @param patches [B, N, prod(patch) * C] as `patchify` cuts them, channel fastest; data, so no gradient flows to it
 * @returns [B, N, D]
 */
export function applyPatchEmbed({ proj }: PatchEmbedParams, patches: tf.Tensor): tf.Tensor3D {
  const { weight, bias } = proj;
  const axes = weight.shape.map((_, axis) => axis);
  const matrix = tf
    .transpose(weight, [0, ...axes.slice(2), 1])
    .reshape([weight.shape[0]!, patches.shape[2]!]); // [D, P]
  return linear(patches, matrix, bias, { constantInput: true }) as tf.Tensor3D;
}
