/** One point cloud on the host. */
export interface PointSample {
  /** x, y, z of each point: [points, 3] */
  readonly points: Float32Array;
  /** Class of the whole cloud; absent or -1 where unknown. */
  readonly label?: number;
  /** Part that each point belongs to, for segmentation: [points]. */
  readonly parts?: Int32Array;
}
