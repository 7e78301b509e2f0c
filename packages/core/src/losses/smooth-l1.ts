import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { absoluteDifference } from "./l1.js";
import { sameShape } from "./reduce.js";

export interface SmoothL1Options {
  /** Where the square turns into a line: d^2 / (2 beta) below, |d| - beta / 2 above; default 1. */
  readonly beta?: number;
}

/** Smooth absolute error of every token: mean over the last axis. [..., P] -> [...] */
export function tokenSmoothL1(
  prediction: tf.Tensor,
  target: tf.Tensor,
  { beta = 1 }: SmoothL1Options = {},
): tf.Tensor {
  sameShape("smoothL1", prediction, target);
  expect(beta > 0, `smoothL1: beta must be above 0, got ${beta}; use l1 for 0`);
  const distance = absoluteDifference(prediction, target);
  const near = tf.minimum(distance, beta);
  return tf.mean(tf.add(tf.mul(tf.square(near), 0.5 / beta), tf.sub(distance, near)), -1);
}

/** Mean smooth absolute error over all values. */
export function smoothL1(prediction: tf.Tensor, target: tf.Tensor, options: SmoothL1Options = {}): tf.Scalar {
  return tf.mean(tokenSmoothL1(prediction, target, options));
}
