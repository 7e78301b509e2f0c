/** A decoded image on the host. */
export interface ImageSample {
  /** [height, width, channels], channels last. Integers span black to white of their type; floats are taken as they are. */
  readonly pixels: Uint8Array | Uint16Array | Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Class index, absent or -1 where unknown. */
  readonly label?: number;
  /** Training samples of methods that compare views: all views of the picture, the sample itself being the first. */
  readonly views?: readonly ImageSample[];
}
