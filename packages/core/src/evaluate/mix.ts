/**
 * Mixing of samples and targets for supervised training, with timm's arithmetic: mixup (Zhang et al., ICLR 2018), cutmix
 * (Yun et al., ICCV 2019), one draw for the whole batch; soft targets with label smoothing. A batch is mixed with
 * itself in another order: reversed, when none is given.
 */
import * as tf from "@tensorflow/tfjs";
import { z } from "zod";
import { expect } from "../errors.js";
import type { Random } from "../random.js";

/**
 * One-hot rows with smoothing: s / classes everywhere, and 1 - s + s / classes at the label.
 * @returns [labels, classes]
 */
export function softTargets(labels: ArrayLike<number>, classes: number, smoothing = 0): Float32Array {
  expect(smoothing >= 0 && smoothing < 1, `softTargets: smoothing must be in [0, 1), got ${smoothing}`);
  const off = smoothing / classes;
  const targets = new Float32Array(labels.length * classes).fill(off);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    expect(
      Number.isInteger(label) && label >= 0 && label < classes,
      () =>
        `softTargets: label ${label} of sample ${i} is outside 0..${classes - 1}; train on labelled samples only`,
    );
    targets[i * classes + label] = 1 - smoothing + off;
  }
  return targets;
}

/** Config of how a classifier is held back in training: stochastic depth, smoothed labels, mixed samples. */
export interface RegularisationConfig {
  readonly dropPath: number;
  readonly smoothing: number;
  readonly mixup: number;
  readonly cutmix: number;
}

const alpha = z.number().min(0).default(0);

/** The schema keys of `RegularisationConfig`; none of it by default. */
export const regularisationShape = {
  dropPath: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("drop rate of the last block's branches; grows from 0"),
  smoothing: z.number().min(0).lt(1).default(0).describe("label smoothing"),
  mixup: alpha.describe("alpha of mixup in training; 0 is none"),
  cutmix: alpha.describe("alpha of cutmix in training; 0 is none, with mixup one of the two"),
};

export interface MixOptions {
  /** Alpha of mixup's Beta(alpha, alpha); 0, the default, is no mixup. */
  readonly mixup?: number;
  /** Alpha of cutmix's; 0, the default, is no cutmix. */
  readonly cutmix?: number;
  /** Of mixing a batch at all; 1 when absent. */
  readonly probability?: number;
  /** Of cutmix rather than mixup where both are on; 0.5 when absent. */
  readonly switchProbability?: number;
}

/** Rows top..bottom-1 and columns left..right-1. */
export interface Box {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** What is done to a batch; `lambda` is the share of a sample that stays its own. */
export type Mix =
  | { readonly kind: "none"; readonly lambda: 1 }
  | { readonly kind: "mixup"; readonly lambda: number }
  | { readonly kind: "cutmix"; readonly lambda: number; readonly box: Box };

/** Draws how one batch of images of the given size is mixed. */
export function drawMix(
  { mixup = 0, cutmix = 0, probability = 1, switchProbability = 0.5 }: MixOptions,
  [height, width]: readonly [number, number],
  random: Random,
): Mix {
  expect(
    mixup >= 0 && cutmix >= 0 && Number.isFinite(mixup) && Number.isFinite(cutmix),
    `drawMix: alphas of mixup and cutmix must be 0 or positive, got ${mixup} and ${cutmix}`,
  );
  if ((mixup === 0 && cutmix === 0) || random.uniform() >= probability) return { kind: "none", lambda: 1 };
  const cuts = cutmix > 0 && (mixup === 0 || random.uniform() < switchProbability);
  if (!cuts) return { kind: "mixup", lambda: beta(mixup, random) };
  const box = boxOf(beta(cutmix, random), random.int(height), random.int(width), height, width);
  return { kind: "cutmix", lambda: ownShare(box, height, width), box };
}

/** The box around a centre that covers 1 - lambda of an image before it is cut off at the borders. */
export function boxOf(lambda: number, row: number, column: number, height: number, width: number): Box {
  const ratio = Math.sqrt(1 - lambda);
  const halfHeight = Math.trunc(height * ratio) >> 1;
  const halfWidth = Math.trunc(width * ratio) >> 1;
  return {
    top: Math.max(0, row - halfHeight),
    bottom: Math.min(height, row + halfHeight),
    left: Math.max(0, column - halfWidth),
    right: Math.min(width, column + halfWidth),
  };
}

/** Share of an image that a box leaves. */
export function ownShare({ top, bottom, left, right }: Box, height: number, width: number): number {
  return 1 - ((bottom - top) * (right - left)) / (height * width);
}

/**
 * lambda x + (1 - lambda) x[order], for samples and for targets alike.
 * @param x [B, ...]
 */
export function mixup<T extends tf.Tensor>(x: T, lambda: number, order?: Int32Array): T {
  return tf.tidy(() => tf.add(tf.mul(x, lambda), tf.mul(reordered(x, order), 1 - lambda)));
}

/**
 * x with the box taken from x[order].
 * @param x [B, H, W, C]
 */
export function cutmix(x: tf.Tensor4D, { top, bottom, left, right }: Box, order?: Int32Array): tf.Tensor4D {
  const [, height, width] = x.shape;
  expect(
    0 <= top && top <= bottom && bottom <= height && 0 <= left && left <= right && right <= width,
    () =>
      `cutmix: box of rows ${top}..${bottom} and columns ${left}..${right} leaves an image of ${height}x${width}`,
  );
  const inside = new Uint8Array(height * width);
  for (let row = top; row < bottom; row++) inside.fill(1, row * width + left, row * width + right);
  return tf.tidy(() => tf.where(tf.tensor4d(inside, [1, height, width, 1], "bool"), reordered(x, order), x));
}

/**
 * Mixes images and their targets the same way.
 * @param images [B, H, W, C]
 * @param targets [B, classes]
 * @returns new tensors; the caller disposes them
 */
export function mixBatch(
  images: tf.Tensor4D,
  targets: tf.Tensor2D,
  mix: Mix,
  order?: Int32Array,
): { images: tf.Tensor4D; targets: tf.Tensor2D } {
  switch (mix.kind) {
    case "none":
      return { images: images.clone(), targets: targets.clone() };
    case "mixup":
      return { images: mixup(images, mix.lambda, order), targets: mixup(targets, mix.lambda, order) };
    case "cutmix":
      return { images: cutmix(images, mix.box, order), targets: mixup(targets, mix.lambda, order) };
  }
}

function reordered<T extends tf.Tensor>(x: T, order: Int32Array | undefined): T {
  const batch = x.shape[0]!;
  const rows = order ?? Int32Array.from({ length: batch }, (_, i) => batch - 1 - i);
  expect(rows.length === batch, () => `mix: expected an order of ${batch} samples, got ${rows.length}`);
  return tf.gather(x, tf.tensor1d(rows, "int32"));
}

/** A draw from Beta(alpha, alpha). */
function beta(alpha: number, random: Random): number {
  const [a, b] = [gamma(alpha, random), gamma(alpha, random)];
  return a + b === 0 ? 0.5 : a / (a + b);
}

/** A draw from Gamma(shape, 1): Marsaglia & Tsang 2000; shapes below 1 by the power of a uniform draw. */
function gamma(shape: number, random: Random): number {
  if (shape < 1) return gamma(shape + 1, random) * random.uniform() ** (1 / shape);
  const d = shape - 1 / 3;
  for (;;) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
