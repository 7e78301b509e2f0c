/** What a model makes of images, side by side for a person to look at. */
import { drawText, expect, textSize, wrapText } from "@unmask/core";
import type { ImageReconstruction } from "../reconstruction.js";

/** Images [B, H, W, C] as flat arrays, 0 black and 1 white; what is no finite number is drawn gray. */
export interface GridImages {
  readonly shape: readonly [number, number, number, number];
  readonly original: Float32Array;
  readonly masked: Float32Array;
  readonly reconstructed: Float32Array;
  /** The reconstruction where the model saw nothing, the original elsewhere. */
  readonly combined: Float32Array;
  /** A line under the pictures: which statistics were used to draw them. */
  readonly note: string;
}

export interface GridOptions {
  /** Channels drawn as red, green and blue. Default the first three, or the only one as gray. */
  readonly bands?: readonly [number, number, number];
  /** Values drawn black and white. Default 0 and 1. */
  readonly range?: readonly [number, number];
}

/** [height, width, 3], one byte a colour. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

const COLUMNS = [
  ["original", "original"],
  ["masked", "masked"],
  ["reconstructed", "reconstructed"],
  ["combined", "reconstructed + visible"],
] as const;

const PAPER = 255;
const INK = 60;
const GAP = 8;
/** Small images are enlarged by a whole factor to at least this many pixels across. */
const CELL = 160;
const TEXT_SCALE = 2;

/** A row for each image: original, masked, reconstructed, reconstructed with what was visible; titles above, note below. */
export function pictureGrid(images: GridImages, { bands, range = [0, 1] }: GridOptions = {}): Picture {
  const [count, height, width, channels] = images.shape;
  const size = count * height * width * channels;
  for (const [key] of COLUMNS)
    expect(
      images[key].length === size && size > 0,
      () => `pictureGrid: ${key} has ${images[key].length} values, shape [${images.shape}] needs ${size}`,
    );
  const shown = bands ?? (channels < 3 ? [0, 0, 0] : [0, 1, 2]);
  expect(
    shown.every((band) => Number.isInteger(band) && band >= 0 && band < channels),
    () => `pictureGrid: bands [${shown}] must be channels of 0-${channels - 1}`,
  );

  const factor = Math.max(1, Math.ceil(CELL / width));
  const [cellHeight, cellWidth] = [height * factor, width * factor];
  const pageWidth = COLUMNS.length * (cellWidth + GAP) + GAP;
  const titles = COLUMNS.map(([, title]) => wrapText(title, cellWidth, TEXT_SCALE));
  const titleHeight = Math.max(...titles.map((lines) => textSize(lines, TEXT_SCALE).height));
  const note = wrapText(images.note, pageWidth - 2 * GAP, TEXT_SCALE);
  const noteHeight = textSize(note, TEXT_SCALE).height;
  const gridTop = GAP + titleHeight;
  const noteTop = gridTop + count * (cellHeight + GAP);
  const page = createPage(noteTop + noteHeight + GAP, pageWidth);

  COLUMNS.forEach(([key], column) => {
    const left = GAP + column * (cellWidth + GAP);
    const lines = titles[column]!;
    const top = gridTop - textSize(lines, TEXT_SCALE).height;
    lines.forEach((line, i) => {
      const lineSize = textSize([line], TEXT_SCALE);
      page.write(line, top + i * lineSize.height, left + ((cellWidth - lineSize.width) >> 1));
    });
    for (let b = 0; b < count; b++)
      page.draw(gridTop + b * (cellHeight + GAP), left, cellHeight, cellWidth, (y, x, colour) => {
        const pixel = (b * height + Math.floor(y / factor)) * width + Math.floor(x / factor);
        const value = (images[key][pixel * channels + shown[colour]!]! - range[0]) / (range[1] - range[0]);
        return Number.isFinite(value) ? Math.min(Math.max(value, 0), 1) : 0.5;
      });
  });
  note.forEach((line, i) => {
    page.write(line, noteTop + i * textSize([line], TEXT_SCALE).height, GAP);
  });
  return page.picture;
}

function createPage(height: number, width: number) {
  const pixels = new Uint8Array(height * width * 3).fill(PAPER);
  return {
    picture: { pixels, height, width } satisfies Picture,
    write(line: string, top: number, left: number) {
      drawText(line, top, left, TEXT_SCALE, (y, x) => {
        if (x >= 0 && x < width && y < height) pixels.fill(INK, (y * width + x) * 3, (y * width + x) * 3 + 3);
      });
    },
    draw(
      top: number,
      left: number,
      rows: number,
      columns: number,
      level: (y: number, x: number, colour: number) => number,
    ) {
      for (let y = 0; y < rows; y++)
        for (let x = 0; x < columns; x++)
          for (let colour = 0; colour < 3; colour++)
            pixels[((top + y) * width + left + x) * 3 + colour] = Math.round(255 * level(y, x, colour));
    },
  };
}

/** Copies what a method reconstructed to the host; the tensors stay the caller's. */
export async function gridImages(reconstruction: ImageReconstruction): Promise<GridImages> {
  const { original, masked, reconstructed, combined, note } = reconstruction;
  const read = async (tensor: ImageReconstruction["original"]) => Float32Array.from(await tensor.data());
  return {
    shape: original.shape,
    original: await read(original),
    masked: await read(masked),
    reconstructed: await read(reconstructed),
    combined: await read(combined),
    note,
  };
}
