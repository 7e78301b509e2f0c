/** Arrays cut into non-overlapping patches, in one, two or three dimensions, and put together again. */
import type * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";

/**
 * Cuts an array into patches; token order is row-major over the grid, values inside a token run
 * (…, row in patch, column in patch, channel), channel fastest.
 * @param x [B, ...size, C] with one to three spatial dimensions
 * @param patch extent of a patch in each spatial dimension; must divide `size`
 * @returns [B, N, prod(patch) * C]
 */
export function patchify(x: tf.Tensor, patch: readonly number[]): tf.Tensor3D {
  const size = x.shape.slice(1, -1);
  const grid = patchGrid(size, patch);
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  // Neighbouring axes that stay together are merged, so that three dimensions need a transpose of rank 6 only.
  const split = grid.flatMap((cells, i) => [cells, patch[i]!]); // g0, p0, g1, p1, ...
  split[0]! *= batch;
  split[split.length - 1]! *= channels;
  return x
    .reshape(split)
    .transpose(gridFirst(patch.length))
    .reshape([batch, product(grid), product(patch) * channels]);
}

/**
 * The inverse of {@link patchify}.
 * @param tokens [B, N, prod(patch) * C]
 * @param grid number of patches in each spatial dimension; N = prod(grid)
 * @returns [B, ...grid * patch, C]
 */
export function unpatchify(tokens: tf.Tensor, grid: readonly number[], patch: readonly number[]): tf.Tensor {
  const [batch, count, width] = tokens.shape as [number, number, number];
  const channels = width / product(patch);
  expect(
    tokens.rank === 3 &&
      grid.length === patch.length &&
      count === product(grid) &&
      Number.isInteger(channels),
    () =>
      `unpatchify: expected tokens [B, ${product(grid)}, multiple of ${product(patch)}] for a grid of ${grid.join(" x ")} patches of ${patch.join(" x ")}, got [${tokens.shape}]`,
  );
  const merged = [...grid, ...patch]; // g0, g1, ..., p0, p1, ...
  merged[0]! *= batch;
  merged[merged.length - 1]! *= channels;
  const size = grid.map((cells, i) => cells * patch[i]!);
  return tokens
    .reshape(merged)
    .transpose(patchesInterleaved(patch.length))
    .reshape([batch, ...size, channels]);
}

/** Number of patches in each spatial dimension of an array of `size`. */
export function patchGrid(size: readonly number[], patch: readonly number[]): number[] {
  const text = (extents: readonly number[]) => extents.join(" x ");
  expect(
    patch.length === size.length && patch.length >= 1 && patch.length <= 3,
    () =>
      `patchify: a patch of ${text(patch)} needs an array of as many spatial dimensions (1, 2 or 3), got ${text(size)}`,
  );
  expect(
    patch.every(
      (extent, i) => Number.isInteger(extent) && extent > 0 && size[i]! > 0 && size[i]! % extent === 0,
    ),
    () =>
      `patchify: size ${text(size)} is not a multiple of patch ${text(patch)}; crop or pad the input first`,
  );
  return patch.map((extent, i) => size[i]! / extent);
}

/** From (g0, p0, g1, p1, ...) to (g0, g1, ..., p0, p1, ...). */
const gridFirst = (dims: number) => [
  ...Array.from({ length: dims }, (_, i) => 2 * i),
  ...Array.from({ length: dims }, (_, i) => 2 * i + 1),
];

/** From (g0, g1, ..., p0, p1, ...) to (g0, p0, g1, p1, ...). */
const patchesInterleaved = (dims: number) => Array.from({ length: dims }, (_, i) => [i, dims + i]).flat();

const product = (values: readonly number[]) => values.reduce((a, b) => a * b, 1);
