/** Decoded clips on the host. */
export interface VideoSample {
  /**
   * [views, frames, height, width, channels], channels last. Integers span black to white of their type; floats are taken
   * as they are.
   */
  readonly pixels: Uint8Array | Uint16Array | Float32Array;
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Clips of the same video side by side, over which features and class probabilities are averaged. Default 1. */
  readonly views?: number;
  /** Class index, absent or -1 where unknown. */
  readonly label?: number;
}

/** A clip with what a caption says about it. */
export interface GuidedSample extends VideoSample {
  /** [frames, rows, columns], how well each patch fits the caption. */
  readonly scores: Float32Array;
  /** Rows and columns of the scores. */
  readonly scoreGrid: readonly [number, number];
  /** The caption's vector. */
  readonly text: Float32Array;
}
