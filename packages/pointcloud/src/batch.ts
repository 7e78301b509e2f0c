/** Samples into the groups that the methods see. */
import * as tf from "@tensorflow/tfjs";
import { expect, takeRows } from "@unmask/core";
import { z } from "zod";
import { countPoints } from "./geometry/distance.js";
import { groupPoints } from "./geometry/groups.js";
import type { PointSample } from "./sample.js";

export const count = z.int().positive();

/** Keys that every method's config has, so that readers know what to deliver. */
export const pointInputShape = {
  points: count.default(1024).describe("points of a cloud"),
};

export interface PointInput {
  readonly points: number;
}

export interface GroupedPoints {
  /** Points of each group less its centre: [B, G, S, 3] */
  readonly neighbourhoods: tf.Tensor4D;
  /** [B, G, 3] */
  readonly centres: tf.Tensor3D;
}

export interface GroupingOptions {
  readonly groups: number;
  readonly groupSize: number;
}

/** Groups of every sample on the host, relative to their centres. */
function groupSamples(
  name: string,
  samples: readonly PointSample[],
  { groups, groupSize }: GroupingOptions,
): { neighbourhoods: Float32Array; centres: Float32Array } {
  const neighbourhoods = new Float32Array(samples.length * groups * groupSize * 3);
  const centres = new Float32Array(samples.length * groups * 3);
  samples.forEach(({ points: cloud }, b) => {
    const found = groupPoints(name, cloud, groups, groupSize);
    centres.set(found.centres, b * groups * 3);
    const own = neighbourhoods.subarray(b * groups * groupSize * 3, (b + 1) * groups * groupSize * 3);
    for (let i = 0; i < own.length; i++) {
      const group = Math.floor(i / (3 * groupSize));
      own[i] = found.points[i]! - found.centres[3 * group + (i % 3)]!;
    }
  });
  return { neighbourhoods, centres };
}

/** @param name the method, for messages */
export function groupedTensors(
  name: string,
  samples: readonly PointSample[],
  { groups, groupSize }: GroupingOptions,
): GroupedPoints & { readonly hostCentres: Float32Array } {
  expect(samples.length > 0, `${name}: no samples`);
  const { neighbourhoods, centres } = groupSamples(name, samples, { groups, groupSize });
  return {
    neighbourhoods: tf.tensor4d(neighbourhoods, [samples.length, groups, groupSize, 3]),
    centres: tf.tensor3d(centres, [samples.length, groups, 3]),
    hostCentres: centres,
  };
}

/** Clouds of one size as a tensor: [B, N, 3] */
export function cloudTensor(name: string, samples: readonly PointSample[], points: number): tf.Tensor3D {
  const values = new Float32Array(samples.length * points * 3);
  samples.forEach(({ points: cloud }, b) => {
    const own = countPoints(name, cloud);
    expect(
      own === points,
      `${name}: expected clouds of ${points} points, sample ${b} has ${own}; set points, or read with that many`,
    );
    values.set(cloud, b * points * 3);
  });
  return tf.tensor3d(values, [samples.length, points, 3]);
}

/** Groups by index: [B, G, S, 3] -> [B, K, S, 3] */
export function takeGroups(groups: tf.Tensor4D, index: Int32Array): tf.Tensor4D {
  const [batch, count, size] = groups.shape;
  return takeRows(groups.reshape([batch, count, size * 3]), index).reshape([batch, -1, size, 3]);
}
