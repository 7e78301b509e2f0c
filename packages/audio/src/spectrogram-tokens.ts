/** Spectrograms into tokens. */
import * as tf from "@tensorflow/tfjs";
import { expect, patchify } from "@unmask/core";

/**
 * Cuts spectrograms into patches, one token each, time first, then frequency; the values of a token run (frame, band).
 * @param spectrograms [B, frames, bands]; both extents a multiple of the patch's
 * @param patch frames and bands of one patch; default 16 x 16, AudioMAE's
 * @returns [B, N, frames * bands of a patch]
 */
export function spectrogramTokens(
  spectrograms: tf.Tensor,
  patch: readonly [frames: number, bands: number] = [16, 16],
): tf.Tensor3D {
  expect(
    spectrograms.rank === 3,
    () => `spectrogramTokens: expected spectrograms [B, frames, bands], got [${spectrograms.shape}]`,
  );
  return tf.tidy(() => patchify(spectrograms.expandDims(-1), patch));
}
