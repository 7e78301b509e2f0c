/** From scaled frames to the pixels of clips. */
import type { Box, Size } from "../augment/crop.js";

/** Clockwise quarter turns after which a coded frame stands as it is shown. */
export type Turns = 0 | 1 | 2 | 3;

export interface Picture {
  readonly pixels: Uint8Array;
  /** Values from one row to the next. */
  readonly stride: number;
  readonly height: number;
  readonly width: number;
}

/** The size that the whole frame is scaled to so that `box` comes out at `size`; as shown. */
export function scaledSize(height: number, width: number, box: Box, [rows, columns]: Size): Size {
  return [
    Math.max(rows, Math.round((height * rows) / box.height)),
    Math.max(columns, Math.round((width * columns) / box.width)),
  ];
}

export interface CutOptions {
  readonly channels: number;
  readonly size: Size;
  /** Top left corner in the scaled frame, as shown. */
  readonly top: number;
  readonly left: number;
  readonly flip: boolean;
  readonly turns: Turns;
}

/** Copies the wanted part of a scaled frame, as coded, to `to`, [rows, columns, channels]. */
export function cutPicture(from: Picture, to: Uint8Array, options: CutOptions): void {
  const { channels, size, top, left, flip, turns } = options;
  const [rows, columns] = size;
  const { pixels, stride, height, width } = from;
  if (turns === 0 && !flip) {
    for (let y = 0; y < rows; y++) {
      const start = (top + y) * stride + left * channels;
      to.set(pixels.subarray(start, start + columns * channels), y * columns * channels);
    }
    return;
  }
  for (let y = 0, at = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const [row, column] = [top + y, left + (flip ? columns - 1 - x : x)];
      const start = codedOffset(row, column, height, width, stride, channels, turns);
      for (let c = 0; c < channels; c++) to[at++] = pixels[start + c]!;
    }
}

/** Where the pixel shown at (row, column) stands in a coded frame of height x width. */
function codedOffset(
  row: number,
  column: number,
  height: number,
  width: number,
  stride: number,
  channels: number,
  turns: Turns,
): number {
  switch (turns) {
    case 0:
      return row * stride + column * channels;
    case 1:
      return (height - 1 - column) * stride + row * channels;
    case 2:
      return (height - 1 - row) * stride + (width - 1 - column) * channels;
    case 3:
      return column * stride + (width - 1 - row) * channels;
  }
}
