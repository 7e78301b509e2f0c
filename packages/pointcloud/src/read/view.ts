/** From what a file holds to the cloud that a model sees. */
import { createRandom, expect, type Random } from "@unmask/core";
import {
  jitterPoints,
  type Normalisation,
  normalisePoints,
  rotatePoints,
  scaleAndTranslate,
} from "../augment/augment.js";
import type { RawCloud } from "./raw-cloud.js";
import { samplePoints } from "./sample-points.js";

export type Augmentation = "none" | "scale-translate" | "rotate" | "rotate-scale-translate";

export interface PointViewOptions {
  /** Points of a cloud. */
  readonly points: number;
  /** Default "sphere". */
  readonly normalise?: Normalisation;
  /** Training view; default "scale-translate", Point-MAE's. */
  readonly augment?: Augmentation;
  /** Axis that rotations leave in place, or "any"; default "y". */
  readonly rotateAround?: "x" | "y" | "z" | "any";
  /** Deviation of noise on the coordinates of the training view; default 0. */
  readonly jitter?: number;
}

/** The evaluation view draws from the index of the sample alone, the training view from what it is given. */
export function viewOf(
  cloud: RawCloud,
  index: number,
  options: PointViewOptions,
  random?: Random,
): Float32Array {
  const { points, normalise, augment = "scale-translate", rotateAround = "y", jitter = 0 } = options;
  expect(
    Number.isInteger(points) && points > 0,
    () => `point clouds: points must be a positive integer, got ${points}`,
  );
  const draws = random ?? createRandom(0).child("view", index);
  let view = normalisePoints(samplePoints(cloud, points, draws), normalise);
  if (random === undefined) return view;
  if (augment.startsWith("rotate")) view = rotatePoints(view, random, rotateAround);
  if (augment.endsWith("scale-translate")) view = scaleAndTranslate(view, random);
  return jitter > 0 ? jitterPoints(view, random, jitter) : view;
}
