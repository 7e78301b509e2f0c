/** Scores of patches, cut as a clip was cut from its video. */

/** What a clip shows of its video. */
export interface ClipView {
  /** Where its frames stand, 0 the video's beginning and 1 its end. */
  readonly times: readonly number[];
  /** As shares of the video's height and width. */
  readonly box: readonly [top: number, left: number, height: number, width: number];
  readonly flip: boolean;
}

/**
 * The scores of a clip's patches: of the score frame nearest in time, bilinear between the centres of its patches.
 * @param scores [T, h, w], over the whole video and its whole frames
 * @returns [frames of the clip, rows, columns]
 */
export function scoresInView(
  scores: Float32Array,
  [count, height, width]: readonly [number, number, number],
  { times, box: [top, left, boxHeight, boxWidth], flip }: ClipView,
  [rows, columns]: readonly [number, number],
): Float32Array {
  const seen = new Float32Array(times.length * rows * columns);
  let at = 0;
  for (const time of times) {
    const frame = Math.min(count - 1, Math.floor(time * count)) * height * width;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const across = (column + 0.5) / columns;
        const y = (top + ((row + 0.5) / rows) * boxHeight) * height - 0.5;
        const x = (left + (flip ? 1 - across : across) * boxWidth) * width - 0.5;
        seen[at++] = bilinear(scores.subarray(frame, frame + height * width), height, width, y, x);
      }
  }
  return seen;
}

/** Between the four values around (y, x); the border repeats. */
function bilinear(values: Float32Array, height: number, width: number, y: number, x: number): number {
  const clamp = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1);
  const [row, column] = [Math.floor(y), Math.floor(x)];
  const value = (r: number, c: number) => values[clamp(r, height) * width + clamp(c, width)]!;
  const [down, across] = [y - row, x - column];
  const upper = value(row, column) * (1 - across) + value(row, column + 1) * across;
  const lower = value(row + 1, column) * (1 - across) + value(row + 1, column + 1) * across;
  return upper * (1 - down) + lower * down;
}
