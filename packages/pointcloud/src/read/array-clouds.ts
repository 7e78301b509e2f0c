/** Clouds in NumPy's arrays. */
import { FormatError, parseNpy, parseNpz, type RawTensor, toFloat32, toInt32, typedView } from "@unmask/core";
import type { RawCloud } from "./raw-cloud.js";

/** One cloud [points, 3 or more columns]. */
export function parseNpyCloud(bytes: Uint8Array): RawCloud {
  const raw = parseNpy(bytes);
  if (raw.shape.length !== 2 || raw.shape[1]! < 3)
    throw new FormatError(`npy: expected an array [points, 3], got [${raw.shape}]`);
  return { points: firstThree(toFloat32(raw), raw.shape[1]!) };
}

export interface ArrayClouds {
  readonly count: number;
  readonly points: number;
  readonly labels?: Int32Array;
  /** [points, 3]; numbers of a whole type come as shares of its largest, from -1 to 1. */
  cloud(index: number): Float32Array;
}

/** Many clouds of one size: the array [clouds, points, 3 or more], and labels [clouds] where there are. */
export function parseNpzClouds(bytes: Uint8Array): ArrayClouds {
  return arrayClouds(parseNpz(bytes));
}

function arrayClouds(tensors: ReadonlyMap<string, RawTensor>): ArrayClouds {
  const found = [...tensors].find(([, { shape }]) => shape.length === 3 && shape[2]! >= 3);
  if (found === undefined) {
    const shapes = [...tensors].map(([name, { shape }]) => `${name} [${shape}]`);
    throw new FormatError(`npz: expected an array [clouds, points, 3], got ${shapes.join(", ") || "none"}`);
  }
  const [, raw] = found;
  const [count, points, columns] = raw.shape as [number, number, number];
  const values = typedView(raw);
  const scale = LARGEST[raw.dtype] ?? 1;
  const labels = [...tensors].find(
    ([, { shape }]) => shape.reduce((a, b) => a * b, 1) === count && count > 1,
  );
  return {
    count,
    points,
    ...(labels && { labels: toInt32(labels[1]) }),
    cloud(index) {
      const own = new Float32Array(points * 3);
      for (let i = 0; i < own.length; i++)
        own[i] = Number(values[(index * points + Math.floor(i / 3)) * columns + (i % 3)]) / scale;
      return own;
    },
  };
}

/** Of the types that hold coordinates as whole numbers. */
const LARGEST: Readonly<Record<string, number>> = { I8: 127, I16: 32767, U8: 255, U16: 65535 };

function firstThree(values: Float32Array, columns: number): Float32Array {
  if (columns === 3) return values;
  return Float32Array.from({ length: (values.length / columns) * 3 }, (_, i) => {
    return values[Math.floor(i / 3) * columns + (i % 3)]!;
  });
}
