/** Point sets: core's nearest points, and the neighbours and farthest points of @unmask/pointcloud. */
import type * as tf from "@tensorflow/tfjs";
import { type Kernels, requireShapes, sizeOf } from "./kernel.js";
import { segmentSum } from "./layout.js";

/** Points in a tensor of three coordinates each. */
function countPoints(name: string, cloud: tf.TensorInfo): number {
  const size = sizeOf(cloud.shape);
  requireShapes(
    size > 0 && size % 3 === 0,
    () => `${name}: expected points of three coordinates, got [${cloud.shape}]`,
  );
  return size / 3;
}

const isWhole = (value: number, low: number, high: number) =>
  Number.isInteger(value) && value >= low && value <= high;

export const pointKernels: Kernels = {
  UnmaskTakeNearest: ({ inputs, backend }) => {
    const [from, to] = [inputs.from!, inputs.to!];
    const [batch, n, width] = from.shape as [number, number, number];
    const m = to.shape[1]!;
    requireShapes(
      to.shape[0] === batch && to.shape[2] === width && m > 0,
      () => `UnmaskTakeNearest: [${from.shape}] and [${to.shape}] do not fit`,
    );
    const [rows, index] = [backend.create(from.shape), backend.create([batch, n], "int32")];
    const points = backend.floats(to);
    if (index.array.length > 0) {
      backend.addon.nearest_rows(backend.floats(from), points, index.array, batch, n, m, width);
      backend.addon.gather_rows(points, index.array, null, rows.array, batch, 1, m, n, width);
    }
    return [rows.info, index.info];
  },

  UnmaskTakeNearestGrad: ({ inputs, attrs, backend }) => {
    const [dy, index] = [inputs.dy!, inputs.index!];
    const [batch, n, width] = dy.shape as [number, number, number];
    const count = attrs.count as number;
    requireShapes(
      sizeOf(index.shape) === batch * n,
      () => `UnmaskTakeNearestGrad: [${dy.shape}] and [${index.shape}] do not fit`,
    );
    const segments = backend
      .elements(backend.ints(index))
      .map((place, i) => Math.floor(i / n) * count + place);
    return [segmentSum(backend, backend.floats(dy), backend.lend(segments), width, [batch, count, width])];
  },

  UnmaskNearPoints: ({ inputs, attrs, backend }) => {
    const [cloud, queries] = [inputs.cloud!, inputs.queries!];
    const [k, radius] = [attrs.k as number, attrs.radius as number];
    const points = countPoints("UnmaskNearPoints", cloud);
    const count = countPoints("UnmaskNearPoints", queries);
    requireShapes(isWhole(k, 1, points), () => `UnmaskNearPoints: cannot find ${k} of ${points} points`);
    const { info, array } = backend.create([count, k], "int32");
    backend.addon.near_points(
      ...([backend.floats(cloud), backend.floats(queries), array, points, count, k, radius] as const),
    );
    return [info];
  },

  UnmaskFarthestPoints: ({ inputs, attrs, backend }) => {
    const cloud = inputs.cloud!;
    const [count, first] = [attrs.count as number, attrs.first as number];
    const points = countPoints("UnmaskFarthestPoints", cloud);
    requireShapes(
      isWhole(count, 1, Number.MAX_SAFE_INTEGER) && isWhole(first, 0, points - 1),
      () => `UnmaskFarthestPoints: cannot choose ${count} of ${points} points, beginning at ${first}`,
    );
    const { info, array } = backend.create([count], "int32");
    backend.addon.farthest_points(
      backend.floats(cloud),
      array,
      points,
      count,
      first,
      attrs.ignoreNear as number,
    );
    return [info];
  },
};
