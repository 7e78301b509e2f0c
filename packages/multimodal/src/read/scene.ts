/** Parts of aligned images: the same place of each, in the size a model takes. */
import type { Random } from "@unmask/core";
import type { ArrayPart } from "../sample.js";
import { peer } from "./peers.js";

/** Which part of every image of a sample, as shares of its height and width, and how it is turned. */
export interface SceneView {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly flipRows: boolean;
  readonly flipColumns: boolean;
}

/** Cell `index` of a grid of `tiles` x `tiles`; in training one of the same size anywhere, mirrored either way. */
export function tileView(index: number, tiles: number, augment: "none" | "flip", random?: Random): SceneView {
  const side = 1 / tiles;
  const grid = { top: Math.floor(index / tiles) * side, left: (index % tiles) * side };
  const still = { ...grid, height: side, width: side, flipRows: false, flipColumns: false };
  if (!random || augment === "none") return still;
  return {
    ...still,
    top: random.uniform() * (1 - side),
    left: random.uniform() * (1 - side),
    flipRows: random.uniform() < 0.5,
    flipColumns: random.uniform() < 0.5,
  };
}

/** Each band cut at two deviations around its mean and scaled to 0-1. [H, W, C] */
export function scaleBands({ values, shape }: ArrayPart): ArrayPart {
  const bands = shape.at(-1)!;
  const count = values.length / bands;
  const [sums, squares] = [new Float64Array(bands), new Float64Array(bands)];
  for (let i = 0; i < values.length; i++) sums[i % bands]! += values[i]!;
  for (let i = 0; i < values.length; i++) squares[i % bands]! += (values[i]! - sums[i % bands]! / count) ** 2;
  const scaled = Float32Array.from(values, (value, i) => {
    const band = i % bands;
    const steps = (value - sums[band]! / count) / (Math.sqrt(squares[band]! / count) || 1);
    return Math.min(2, Math.max(-2, steps)) / 4 + 0.5;
  });
  return { values: scaled, shape };
}

/** The view of an image [H, W, C] in the size of `shape`: what is larger is resampled, its centre cut to the aspect. */
export async function takeScene(
  image: ArrayPart,
  view: SceneView,
  shape: readonly number[],
): Promise<ArrayPart> {
  const [height = 0, width = 0, channels = 1] = image.shape;
  const rows = Math.max(1, Math.round(view.height * height));
  const columns = Math.max(1, Math.round(view.width * width));
  const top = Math.min(height - rows, Math.round(view.top * height));
  const left = Math.min(width - columns, Math.round(view.left * width));
  const pixels = image.values.slice(0, rows * columns * channels);
  for (let y = 0; y < rows; y++) {
    const from = view.flipRows ? top + rows - 1 - y : top + y;
    for (let x = 0; x < columns; x++) {
      const source = (from * width + (view.flipColumns ? left + columns - 1 - x : left + x)) * channels;
      for (let c = 0; c < channels; c++) pixels[(y * columns + x) * channels + c] = image.values[source + c]!;
    }
  }
  const [wantedRows, wantedColumns] = shape as [number, number];
  if (rows === wantedRows && columns === wantedColumns)
    return { values: pixels, shape: [rows, columns, channels] };
  const { fitView, takeView } = await peer("image", "resampling images");
  const sample = { pixels: pixels as Uint8Array, height: rows, width: columns, channels };
  const fitted = takeView(sample, fitView(rows, columns, [wantedRows, wantedColumns], "centre-crop"), 1);
  return { values: fitted.pixels, shape: [fitted.height, fitted.width, channels] };
}
