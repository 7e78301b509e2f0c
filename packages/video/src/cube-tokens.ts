/** Clips into tokens. */
import type * as tf from "@tensorflow/tfjs";
import { expect, patchify } from "@unmask/core";

export interface CubeOptions {
  /** Frames of one cube. Default 2, VideoMAE's. */
  readonly frames?: number;
  /** Height and width of a cube in pixels. Default 16. */
  readonly size?: number;
}

/**
 * Cuts clips into cubes of neighbouring frames and pixels, one token each, time first, then rows, then columns; the values
 * of a token run (frame in cube, row, column, channel).
 * @param clips [B, frames, height, width, channels]; each extent a multiple of the cube's
 * @returns [B, N, frames * size * size * channels]
 */
export function cubeTokens(clips: tf.Tensor, { frames = 2, size = 16 }: CubeOptions = {}): tf.Tensor3D {
  expect(
    clips.rank === 5,
    () => `cubeTokens: expected clips [B, frames, height, width, channels], got [${clips.shape}]`,
  );
  return patchify(clips, [frames, size, size]);
}
