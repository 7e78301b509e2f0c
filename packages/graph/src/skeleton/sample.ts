/** Skeleton sequences: what the readers give and the methods take. */

export interface SkeletonSample {
  /** [persons, frames, joints, channels]: coordinates, usually in metres; all zero where a person is absent. */
  readonly positions: Float32Array;
  readonly persons: number;
  readonly frames: number;
  readonly joints: number;
  readonly channels: number;
  /** Class; -1 or absent where unknown. */
  readonly label?: number;
}
