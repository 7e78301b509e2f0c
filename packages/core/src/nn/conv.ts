/** Convolutions as layers, over data with channels last and weights in PyTorch's layout. */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import {
  type ConvOptions,
  type ConvTransposeOptions,
  conv2d,
  convTranspose2d,
  type Pair,
} from "../ops/conv2d.js";
import { linear } from "../ops/linear.js";
import type { Random } from "../random.js";
import { patchify, unpatchify } from "../tokens/patchify.js";
import { parameter } from "../tree.js";
import { type Initializer, uniform } from "./init.js";

export interface ConvParams {
  /** [O, C / groups, ...kernel]; of a transposed convolution [C, O / groups, ...kernel] */
  readonly weight: tf.Variable;
  /** [O] */
  readonly bias?: tf.Variable;
}

/** Weights as the layers read them: parameters or what was computed from them. */
export interface ConvWeights {
  readonly weight: tf.Tensor;
  readonly bias?: tf.Tensor;
}

export interface ConvShape {
  readonly channels: number;
  readonly out: number;
  /** Extent in each spatial dimension. */
  readonly kernel: readonly number[];
  readonly groups?: number;
  readonly bias?: boolean;
  /** Of the weight; default as PyTorch starts its convolutions. MAE uses `xavierUniform`. */
  readonly init?: Initializer;
}

/** How PyTorch starts the weights of a convolution: uniform in +-1 / sqrt(fan in), the fan being all axes but the first. */
export const convUniform: Initializer = (shape, random) =>
  uniform(1 / Math.sqrt(fanIn(shape)))(shape, random);

/** A convolution of as many dimensions as the kernel has; the bias is uniform in +-1 / sqrt(fan in). */
export function initConv(random: Random, shape: ConvShape): ConvParams {
  return init(random, shape, [shape.out, shape.channels / (shape.groups ?? 1), ...shape.kernel]);
}

/** A transposed convolution; weight [C, O / groups, ...kernel]. */
export function initConvTranspose(random: Random, shape: ConvShape): ConvParams {
  return init(random, shape, [shape.channels, shape.out / (shape.groups ?? 1), ...shape.kernel]);
}

/**
 * Convolution. Kernels that meet every value once (1 x 1, patch embeddings, down-sampling) are one matrix product.
 * @param x [B, H, W, C]
 * @returns [B, H', W', O]
 */
export function applyConv2d(
  { weight, bias }: ConvWeights,
  x: tf.Tensor,
  options: ConvOptions = {},
): tf.Tensor4D {
  const kernel: Pair = [weight.shape[2]!, weight.shape[3]!];
  if (!tiles(kernel, options) || x.shape[1]! % kernel[0] !== 0 || x.shape[2]! % kernel[1] !== 0)
    return withBias(conv2d(x, weight, options), bias);
  const grid: Pair = [x.shape[1]! / kernel[0], x.shape[2]! / kernel[1]];
  const patches = patchify(x, kernel); // [B, N, kh * kw * C]
  const matrix = weight.transpose([0, 2, 3, 1]).reshape([weight.shape[0]!, -1]);
  return linear(patches, matrix, bias).reshape([x.shape[0]!, ...grid, weight.shape[0]!]);
}

/**
 * Transposed convolution.
 * @param x [B, H, W, C]
 * @returns [B, H', W', O]
 */
export function applyConvTranspose2d(
  { weight, bias }: ConvWeights,
  x: tf.Tensor,
  options: ConvTransposeOptions = {},
): tf.Tensor4D {
  const kernel: Pair = [weight.shape[2]!, weight.shape[3]!];
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  if (!tiles(kernel, options) || isSet(options.outputPadding, 0))
    return withBias(convTranspose2d(x, weight, options), bias);
  const matrix = weight.transpose([2, 3, 1, 0]).reshape([-1, channels]); // [kh * kw * O, C]
  const patches = linear(x.reshape([batch, height * width, channels]), matrix);
  return withBias(unpatchify(patches, [height, width], kernel) as tf.Tensor4D, bias);
}

/** Convolution along a sequence; options are single numbers. [B, L, C] -> [B, L', O] */
export function applyConv1d(
  { weight, bias }: ConvWeights,
  x: tf.Tensor,
  { stride = 1, padding = 0, dilation = 1, groups = 1 }: Conv1dOptions = {},
): tf.Tensor3D {
  const flat = weight.expandDims(2); // [O, C / groups, 1, k]
  const y = applyConv2d({ weight: flat, bias }, x.expandDims(1), {
    stride: [1, stride],
    padding: [0, padding],
    dilation: [1, dilation],
    groups,
  });
  return tf.squeeze(y, [1]);
}

export interface Conv1dOptions {
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  readonly groups?: number;
}

function init(random: Random, shape: ConvShape, sizes: number[]): ConvParams {
  expect(
    sizes.every((size) => Number.isInteger(size) && size > 0),
    () =>
      `initConv: ${shape.channels} channels in, ${shape.out} out and ${shape.groups ?? 1} groups make a weight [${sizes}]; groups must divide both`,
  );
  const weight = parameter((shape.init ?? convUniform)(sizes, random));
  if (shape.bias === false) return { weight };
  return { weight, bias: parameter(uniform(1 / Math.sqrt(fanIn(sizes)))([shape.out], random)) };
}

const fanIn = (shape: readonly number[]) => shape.slice(1).reduce((product, size) => product * size, 1);

/** Whether windows neither overlap nor leave gaps. */
function tiles(kernel: Pair, { stride = 1, padding, dilation, groups = 1 }: ConvOptions): boolean {
  const [rows, columns] = typeof stride === "number" ? [stride, stride] : stride;
  return (
    rows === kernel[0] && columns === kernel[1] && groups === 1 && !isSet(padding, 0) && !isSet(dilation, 1)
  );
}

const isSet = (option: number | Pair | undefined, none: number) =>
  option !== undefined && [option].flat().some((value) => value !== none);

function withBias<T extends tf.Tensor>(y: T, bias: tf.Tensor | undefined): T {
  return bias === undefined ? y : (tf.add(y, bias) as T);
}
