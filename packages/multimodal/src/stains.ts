/**
 * Stains of histology taken apart: Macenko et al., A Method for Normalizing Histology Slides for Quantitative Analysis,
 * ISBI 2009. In optical density, -ln(I / white), stains add up; the two stains of haematoxylin and eosin span a plane, and
 * are its extreme directions.
 */
import type { ArrayPart } from "./sample.js";

type Triple = readonly [number, number, number];

/** Optical density of each stain in red, green and blue, length 1. */
export interface StainDirections {
  readonly haematoxylin: Triple;
  readonly eosin: Triple;
}

/** Usual directions (Ruifrok & Johnston 2001), for tiles without enough stain to tell their own. */
export const USUAL_STAINS: StainDirections = {
  haematoxylin: unit([0.65, 0.7, 0.29]),
  eosin: unit([0.07, 0.99, 0.11]),
};

export interface StainOptions {
  /** Optical density below which a pixel counts as without stain. Default 0.15. */
  readonly threshold?: number;
  /** Percentiles of the angle in the plane that count as extreme: this one and 100 less it. Default 1. */
  readonly percentile?: number;
}

/** The stains' directions in a tile [H, W, 3], white being 1 (or 255 of bytes). */
export function stainDirections(
  rgb: ArrayPart,
  { threshold = 0.15, percentile = 1 }: StainOptions = {},
): StainDirections {
  const density = opticalDensity(rgb);
  const stained: Triple[] = [];
  for (let i = 0; i < density.length; i += 3) {
    const pixel = [density[i]!, density[i + 1]!, density[i + 2]!] as const;
    if (Math.min(...pixel) >= threshold) stained.push(pixel);
  }
  if (stained.length < 100) return USUAL_STAINS;
  const [first, second] = principalPlane(stained);
  const angles = stained
    .map((pixel) => Math.atan2(dot(pixel, second), dot(pixel, first)))
    .sort((a, b) => a - b);
  const direction = (share: number) => {
    const angle = angles[Math.min(angles.length - 1, Math.floor(share * angles.length))]!;
    return unit(first.map((x, i) => x * Math.cos(angle) + second[i]! * Math.sin(angle)) as unknown as Triple);
  };
  const [low, high] = [direction(percentile / 100), direction(1 - percentile / 100)];
  // Haematoxylin, blue to the eye, takes more of the red than eosin does.
  return low[0] > high[0] ? { haematoxylin: low, eosin: high } : { haematoxylin: high, eosin: low };
}

export interface Stains {
  /** [H, W, 1], what would be seen of the stain alone: exp(-amount), white being 1 */
  readonly haematoxylin: ArrayPart;
  readonly eosin: ArrayPart;
}

/** A tile taken apart, by its own directions unless others are given. */
export function separateStains(rgb: ArrayPart, directions: StainDirections = stainDirections(rgb)): Stains {
  const { haematoxylin: h, eosin: e } = directions;
  const density = opticalDensity(rgb);
  const [height = 0, width = 0] = rgb.shape;
  const across = dot(h, e);
  const determinant = Math.max(1 - across * across, 1e-6); // of the least squares of two unit directions
  const parts = [new Float32Array(height * width), new Float32Array(height * width)] as const;
  for (let i = 0; i < height * width; i++) {
    const pixel = [density[3 * i]!, density[3 * i + 1]!, density[3 * i + 2]!] as const;
    const [onH, onE] = [dot(pixel, h), dot(pixel, e)];
    parts[0][i] = Math.exp(-Math.max(0, (onH - across * onE) / determinant));
    parts[1][i] = Math.exp(-Math.max(0, (onE - across * onH) / determinant));
  }
  const shape = [height, width, 1];
  return { haematoxylin: { values: parts[0], shape }, eosin: { values: parts[1], shape } };
}

/** The tile that two stains make together: the inverse of {@link separateStains}, [H, W, 3] with white 1. */
export function joinStains({ haematoxylin, eosin }: Stains, directions: StainDirections): ArrayPart {
  const [height = 0, width = 0] = haematoxylin.shape;
  const values = new Float32Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    const [h, e] = [-Math.log(haematoxylin.values[i]!), -Math.log(eosin.values[i]!)];
    for (let c = 0; c < 3; c++)
      values[3 * i + c] = Math.exp(-(h * directions.haematoxylin[c]! + e * directions.eosin[c]!));
  }
  return { values, shape: [height, width, 3] };
}

/** -ln of the share of light that comes through, at least 1/256 of it. */
function opticalDensity({ values }: ArrayPart): Float32Array {
  const white = values instanceof Uint8Array ? 255 : values instanceof Uint16Array ? 65535 : 1;
  return Float32Array.from(values, (value) => -Math.log(Math.min(1, Math.max(value / white, 1 / 256))));
}

/** Two orthogonal directions of the largest second moments around 0, the first pointing into the positive octant. */
function principalPlane(pixels: readonly Triple[]): [Triple, Triple] {
  const moments = [0, 1, 2].map((i) =>
    [0, 1, 2].map((j) => pixels.reduce((sum, p) => sum + p[i]! * p[j]!, 0)),
  );
  const first = powerIterate(moments, [1, 1, 1]);
  const value = dot(first, multiply(moments, first));
  const rest = moments.map((row, i) => row.map((m, j) => m - value * first[i]! * first[j]!));
  const second = powerIterate(rest, Math.abs(first[0]) < 0.9 ? [1, 0, -first[0] / first[2]] : [0, 1, 0]);
  const sign = first[0] + first[1] + first[2] < 0 ? -1 : 1;
  return [first.map((x) => sign * x) as unknown as Triple, second];
}

function powerIterate(matrix: readonly (readonly number[])[], start: Triple): Triple {
  let vector = unit(start);
  for (let i = 0; i < 200; i++) vector = unit(multiply(matrix, vector));
  return vector;
}

const multiply = (matrix: readonly (readonly number[])[], v: Triple) =>
  matrix.map((row) => row[0]! * v[0] + row[1]! * v[1] + row[2]! * v[2]) as unknown as Triple;

const dot = (a: Triple, b: Triple) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

function unit(v: Triple): Triple {
  const length = Math.hypot(...v) || 1;
  return [v[0] / length, v[1] / length, v[2] / length];
}
