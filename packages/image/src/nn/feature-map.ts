/**
 * Layers over feature maps [B, H, W, C], of which all places exist or, sparsely, only those that a mask calls active: after
 * every layer the others are zero again, and norms take their statistics from active places alone (Tian et al., "Designing
 * BERT for Convolutional Networks", ICLR 2023). The result is that of a submanifold-sparse convolution, which never
 * reads a hidden place.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBatchNorm,
  applyConv2d,
  applyLayerNorm,
  type BatchNormParams,
  type ConvOptions,
  type ConvParams,
  expect,
  type LayerNormParams,
  type Pool,
  trainBatchNorm,
} from "@unmask/core";
import { poolPlaces } from "../pool.js";

/** Which places of a map are active, at any of its sizes. */
export interface ActivePlaces {
  /** [B, height, width, 1]: 1 where active. Borrowed; lives as long as the tidy it is asked in. */
  at(height: number, width: number): tf.Tensor4D;
}

/** How a network is run. */
export interface MapOptions {
  /** Batch norm by the batch's own statistics, which moves the running ones; by the running ones otherwise. */
  readonly training: boolean;
  /** Sparse where given. */
  readonly active?: ActivePlaces;
  /** Stochastic depth, 0 or 1 / (1 - rate) for each residual block and sample; see `drawBlockDrops`. */
  readonly dropPath?: Float32Array;
}

/** @param cells [B, f, g, 1], 1 where active; every map's size must be a multiple of f x g */
export function activePlaces(cells: tf.Tensor4D): ActivePlaces {
  const [batch, rows, columns] = cells.shape;
  const sizes = new Map<string, tf.Tensor4D>();
  return {
    at(height, width) {
      const key = `${height}x${width}`;
      const known = sizes.get(key);
      if (known !== undefined) return known;
      const [down, across] = [height / rows, width / columns];
      expect(
        Number.isInteger(down) && Number.isInteger(across),
        () => `activePlaces: a map of ${key} has no whole places in a mask of ${rows}x${columns} cells`,
      );
      const repeated = cells.reshape([batch, rows, 1, columns, 1]).tile([1, 1, down, 1, across]);
      const places = repeated.reshape([batch, height, width, 1]) as tf.Tensor4D;
      sizes.set(key, places);
      return places;
    },
  };
}

/** Zero at inactive places. */
export function onlyActive(x: tf.Tensor, active: ActivePlaces | undefined): tf.Tensor4D {
  if (active === undefined) return x as tf.Tensor4D;
  return tf.mul(x, active.at(x.shape[1]!, x.shape[2]!));
}

export function mapConv(
  params: ConvParams,
  x: tf.Tensor,
  conv: ConvOptions,
  { active }: Pick<MapOptions, "active">,
): tf.Tensor4D {
  return onlyActive(applyConv2d(params, x, conv), active);
}

/** Below every value, and finite, so that its products with 0 are 0. */
const LOWEST = -3.4e38;

/** Padding never wins. */
export function mapMaxPool(
  x: tf.Tensor,
  { size, stride, padding }: { size: number; stride: number; padding: number },
  { active }: Pick<MapOptions, "active">,
): tf.Tensor4D {
  // Padded beforehand: the TensorFlow engine takes no other padding than its own two.
  const padded = tf.pad4d(
    x as tf.Tensor4D,
    [
      [0, 0],
      [padding, padding],
      [padding, padding],
      [0, 0],
    ],
    LOWEST,
  );
  return onlyActive(tf.maxPool(padded, size, stride, "valid"), active);
}

export function mapBatchNorm(
  params: BatchNormParams,
  x: tf.Tensor,
  { training, active }: MapOptions,
): tf.Tensor4D {
  if (!training) return onlyActive(applyBatchNorm(params, x), active);
  return trainBatchNorm(params, x, { active: active?.at(x.shape[1]!, x.shape[2]!) }) as tf.Tensor4D;
}

/** Over the channels of each place. */
export function mapLayerNorm(
  params: LayerNormParams,
  x: tf.Tensor,
  epsilon: number,
  { active }: Pick<MapOptions, "active">,
): tf.Tensor4D {
  return onlyActive(applyLayerNorm(params, x, epsilon), active);
}

/** The branch of residual block `index`, scaled as `dropPath` says. */
export function dropBranch(branch: tf.Tensor, index: number, { dropPath }: MapOptions): tf.Tensor4D {
  if (dropPath === undefined) return branch as tf.Tensor4D;
  const batch = branch.shape[0]!;
  const scales = dropPath.slice(index * batch, (index + 1) * batch);
  return tf.mul(branch as tf.Tensor4D, tf.tensor4d(scales, [batch, 1, 1, 1]));
}

/** Mean over all places: [B, H, W, C] -> [B, C] */
export function globalMean(x: tf.Tensor4D): tf.Tensor2D {
  return tf.mean(x, [1, 2]);
}

/** Features from a map: [B, H, W, C] -> [B, C], or [B, H * W, C] of all places. There is no class token. */
export function poolMap(method: string, map: tf.Tensor4D, pool: Pool): tf.Tensor {
  const [batch, height, width, channels] = map.shape;
  return poolPlaces(method, map.reshape([batch, height * width, channels]), pool);
}
