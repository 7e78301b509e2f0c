import type * as tf from "@tensorflow/tfjs";
import { expect, type Model } from "@unmask/core";
import type { ImageSample } from "./sample.js";

/**
 * A frozen teacher's features of all patches of whole samples.
 * @param tokens patches of the student's grid
 * @param width of the features as the student's config has it, in the key `key`
 * @returns [B, tokens, width]
 * @throws UnmaskError where the teacher's grid or width is another
 */
export function teacherTokens(
  method: string,
  teacher: Model,
  samples: readonly ImageSample[],
  { tokens, width, key }: { readonly tokens: number; readonly width: number; readonly key: string },
): tf.Tensor3D {
  const features = teacher.encode(samples, { pool: "tokens" }) as tf.Tensor3D;
  const [, found, size] = features.shape;
  expect(
    found === tokens,
    `${method}: the teacher (${teacher.method.id}) has features of ${found} patches, the student has ${tokens}; choose imageSize and patchSize as the teacher has them`,
  );
  expect(
    size === width,
    `${method}: the teacher's features (${teacher.method.id}) are ${size} wide, ${key} says ${width}; set ${key} to ${size}`,
  );
  return features;
}
