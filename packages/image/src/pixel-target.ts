import type * as tf from "@tensorflow/tfjs";
import { normaliseJoint } from "@unmask/core";

/** What is predicted: the patches themselves, or each with its own mean and deviation taken out. [B, N, P] */
export const pixelTarget = (
  { normalisePixels }: { readonly normalisePixels: boolean },
  patches: tf.Tensor3D,
): tf.Tensor3D => (normalisePixels ? (normaliseJoint(patches) as tf.Tensor3D) : patches);
